/* Preloaded behind the library under test: there are no keys for thread-specific data (NO_KEYS=create), or no memory for
 * their values (NO_KEYS=set). The C library's own use of them does not come by here. `keys_refused` tells how often. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

extern int __pthread_key_create(pthread_key_t *key, void (*destructor)(void *));
static int refused;

int keys_refused(void) { return refused; }

int pthread_key_create(pthread_key_t *key, void (*destructor)(void *)) {
    const char *mode = getenv("NO_KEYS");
    if (mode && *mode == 's') return __pthread_key_create(key, destructor);
    __atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
    return EAGAIN;
}

int pthread_setspecific(pthread_key_t key, const void *value) {
    (void)key, (void)value;
    __atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
    return ENOMEM;
}
