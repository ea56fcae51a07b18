import * as core from '@actions/core';
import {DefaultArtifactClient} from '@actions/artifact';
import {minimatch} from 'minimatch';
import {join, resolve} from 'node:path';

try {
  const {name, pattern, path, token} = {
    name: core.getInput('name'), pattern: core.getInput('pattern'), path: resolve(core.getInput('path')), token: core.getInput('github-token'),
  };
  const [repositoryOwner, repositoryName] = core.getInput('repository').split('/');
  const findBy = token ? {token, workflowRunId: Number(core.getInput('run-id')), repositoryName, repositoryOwner} : undefined;
  const client = new DefaultArtifactClient();
  const {artifacts} = await client.listArtifacts({latest: true, findBy});
  const wanted = artifacts.filter(one => (name ? one.name === name : minimatch(one.name, pattern || '**')));
  if (name && !wanted.length) throw new Error(`Artifact not found for name: ${name}`);
  const isFlat = name || core.getBooleanInput('merge-multiple') || wanted.length === 1;
  for (const one of wanted) {
    const {digestMismatch} = await client.downloadArtifact(one.id, {
      findBy, path: isFlat ? path : join(path, one.name), expectedHash: one.digest,
    });
    if (digestMismatch) throw new Error(`digest mismatch: ${one.name}`);
  }
  core.info(`Total of ${wanted.length} artifact(s) downloaded`);
  core.setOutput('download-path', path);
} catch (error) {
  core.setFailed(error);
}
