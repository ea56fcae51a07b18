import * as core from '@actions/core';
import * as glob from '@actions/glob';
import {DefaultArtifactClient, ArtifactNotFoundError} from '@actions/artifact';
import {lstatSync} from 'node:fs';
import {dirname} from 'node:path';

try {
  const name = core.getInput('name');
  const globber = await glob.create(core.getInput('path'), {
    implicitDescendants: true, omitBrokenSymbolicLinks: true, excludeHiddenFiles: !core.getBooleanInput('include-hidden-files'),
  });
  const files = (await globber.glob()).filter(file => !lstatSync(file).isDirectory());
  const [root, ...others] = globber.getSearchPaths();
  if (others.length) throw new Error('this shim takes one path');
  if (!files.length) {
    const message = `No files were found with the provided path: ${core.getInput('path')}. No artifacts will be uploaded.`;
    ({error: core.setFailed, warn: core.warning, ignore: core.info})[core.getInput('if-no-files-found')](message);
  } else {
    const client = new DefaultArtifactClient();
    if (core.getBooleanInput('overwrite')) {
      await client.deleteArtifact(name).catch(error => { if (!(error instanceof ArtifactNotFoundError)) throw error; });
    }
    const base = lstatSync(root).isDirectory() ? root : dirname(root);
    const retentionDays = Number(core.getInput('retention-days')) || undefined;
    const {id, digest} = await client.uploadArtifact(name, files, base, {retentionDays, compressionLevel: Number(core.getInput('compression-level'))});
    core.setOutput('artifact-id', id);
    core.setOutput('artifact-digest', digest);
  }
} catch (error) {
  core.setFailed(error);
}
