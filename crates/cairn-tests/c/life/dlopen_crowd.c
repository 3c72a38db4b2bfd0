/* Claim: several threads may load and unload libraries that allocate in their constructors and destructors, at the same time, while
 * others allocate and fork; a block that a library made outlives it.
 *
 * Arguments: rounds of each thread, then the paths of plug-ins (lib_plugin.cpp). */
#include "table.h"
#include <pthread.h>
#include <sys/wait.h>

enum { LOADERS = 3, CHURNERS = 3 };
static int rounds, paths_count;
static char **paths;
static atomic_int stop;

static void *load(void *number) {
    for (int round = 0; round < rounds; round++) {
        const char *path = paths[((uintptr_t)number + (size_t)round) % (size_t)paths_count];
        void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        CHECK(plugin != NULL, "%s", dlerror());
        char *(*make_)(int) = (char *(*)(int))dlsym(plugin, "plugin_make");
        size_t (*take)(char *) = (size_t (*)(char *))dlsym(plugin, "plugin_take");
        char *blocks[20];
        for (int i = 0; i < 20; i++) blocks[i] = make_(i * 40);
        CHECK(take(malloc(200)) == 500, "the plug-in lost its table");
        CHECK(dlclose(plugin) == 0, "%s", dlerror());
        for (int i = 0; i < 20; i++) {
            CHECK(blocks[i][99] == 'm', "a block of a library that is gone changed");
            free(blocks[i]);
        }
    }
    return NULL;
}

/* A loader with a short life: the plug-in's thread-local objects are destroyed at its end, and then the plug-in can go. */
static void *load_in_threads(void *number) {
    for (int round = 0; round < rounds; round += 5) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, load, number) == 0, "pthread_create");
        CHECK(pthread_join(thread, NULL) == 0, "pthread_join");
    }
    return NULL;
}

static void *churn(void *seed) {
    uint64_t state = (uintptr_t)seed * 7919 + 1;
    while (!atomic_load(&stop)) {
        for (int i = 0; i < 300; i++) renew(&state, 3000);
        if (seed != NULL) continue;
        pid_t child = fork();
        CHECK(child >= 0, "fork: %d", errno);
        if (child == 0) {
            alarm(120);
            drop_table();
            _exit(malloc(1000) == NULL);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child && status == 0, "a child ended with %#x", status);
    }
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc > 2, "usage: %s ROUNDS PATH..", argv[0]);
    rounds = atoi(argv[1]);
    paths = argv + 2;
    paths_count = argc - 2;
    int all = rounds;
    pthread_t churners[CHURNERS], loaders[LOADERS];
    for (uintptr_t i = 0; i < CHURNERS; i++) CHECK(pthread_create(&churners[i], NULL, churn, (void *)i) == 0, "pthread_create");
    long resident[2];
    for (int part = 0; part < 2; part++) {
        rounds = 5;
        for (int turn = 0; turn < (part ? all : all / 5 + 1); turn += 5) {
            for (uintptr_t i = 0; i < LOADERS; i++) CHECK(pthread_create(&loaders[i], NULL, load_in_threads, (void *)i) == 0, "pthread_create");
            for (int i = 0; i < LOADERS; i++) pthread_join(loaders[i], NULL);
        }
        resident[part] = status_kib("VmRSS");
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < CHURNERS; i++) pthread_join(churners[i], NULL);
    AUDIT("at the end");
    printf("%ld KiB resident after a fifth of the rounds, %ld after all\n", resident[0], resident[1]);
    CHECK(keeps_what_was_freed() || resident[1] < resident[0] + 3072, "%ld KiB after a fifth of the rounds, %ld after all", resident[0], resident[1]);
    return 0;
}
