/* A stand-in for NVIDIA's container plugin pyxis: it knows the options, reports them to the task as FAKE_PYXIS_*
 * variables and fails like a failed import. It enters no container. An image is a file; where a folder IMAGE.d/bin
 * exists beside it, the task finds programs there first. */
#include <slurm/spank.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

SPANK_PLUGIN(fake_pyxis, 1);

enum { IMAGE, MOUNTS, NAME, WORKDIR, ENVIRONMENT, NO_ENTRYPOINT, NO_HOME, REMAP_ROOT, WRITABLE, COUNT };
static const char *names[COUNT] = {
    "container-image", "container-mounts", "container-name", "container-workdir", "container-env",
    "no-container-entrypoint", "no-container-mount-home", "container-remap-root", "container-writable"};
static char values[COUNT][8192];
static struct spank_option options[COUNT];

static int keep(int which, const char *value, int remote) {
  (void)remote;
  snprintf(values[which], sizeof values[which], "%s", value ? value : "1");
  return 0;
}

int slurm_spank_init(spank_t spank, int count, char **arguments) {
  (void)count, (void)arguments;
  for (int i = 0; i < COUNT; i++) {
    options[i] = (struct spank_option){(char *)names[i], i < NO_ENTRYPOINT ? "VALUE" : NULL, "stand-in for pyxis",
                                       i < NO_ENTRYPOINT, i, keep};
    if (spank_option_register(spank, &options[i]) != ESPANK_SUCCESS) return -1;
  }
  return 0;
}

int slurm_spank_task_init(spank_t spank, int count, char **arguments) {
  char text[16384], path[4096];
  (void)count, (void)arguments;
  for (int i = 0; i < COUNT; i++) {
    if (!values[i][0]) continue;
    snprintf(text, sizeof text, "FAKE_PYXIS_%s", names[i]);
    for (char *c = text; *c; c++)
      if (*c == '-') *c = '_';
      else if (*c >= 'a' && *c <= 'z') *c -= 32;
    spank_setenv(spank, text, values[i], 1);
  }
  if (!values[IMAGE][0]) return 0;
  if (access(values[IMAGE], R_OK)) {
    slurm_error("pyxis: failed to import docker image");
    slurm_error("pyxis: printing enroot log file:");
    slurm_error("pyxis:     [ERROR] No such file or directory: %s", values[IMAGE]);
    return -1;
  }
  if (spank_getenv(spank, "PATH", path, sizeof path) != ESPANK_SUCCESS) snprintf(path, sizeof path, "/usr/bin:/bin");
  snprintf(text, sizeof text, "%s.d/bin:%s", values[IMAGE], path);
  spank_setenv(spank, "PATH", text, 1);
  return 0;
}
