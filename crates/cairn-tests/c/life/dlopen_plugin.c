/* Claim: libraries that allocate can be loaded, used by several threads and unloaded, again and again; blocks cross
 * their border both ways. The plug-in's path is the first argument. */
#include "check.h"
#include <pthread.h>

static char *(*make)(int);
static size_t (*take)(char *);

static void *use(void *seed) {
    for (int i = 0; i < 200; i++) {
        char *block = make(i + (int)(uintptr_t)seed);
        CHECK(block[50] == 'm', "the plug-in's block is not filled");
        if (i & 1) free(block); else CHECK(take(block) == 500, "the plug-in lost its table");
        CHECK(take(malloc(300)) == 500, "the plug-in lost its table");
    }
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: dlopen_plugin PATH");
    long resident = 0;
    for (int round = 0; round < 120; round++) {
        void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        CHECK(plugin != NULL, "%s", dlerror());
        make = (char *(*)(int))dlsym(plugin, "plugin_make");
        take = (size_t (*)(char *))dlsym(plugin, "plugin_take");
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, use, (void *)(uintptr_t)i) == 0, "pthread_create");
        for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
        CHECK(dlclose(plugin) == 0, "%s", dlerror());
        if (round == 20) resident = status_kib("VmRSS");
    }
    CHECK(status_kib("VmRSS") < resident + 2048, "%ld KiB after 20 rounds, %ld after 120", resident, status_kib("VmRSS"));
    return 0;
}
