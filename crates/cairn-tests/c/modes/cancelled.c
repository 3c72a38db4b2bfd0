/* Claim: a thread that touched a freed block can't be cancelled any more, neither the one whose access is reported nor one that waits for the
 * end of that report: no cleanup handler of the program's runs, and the process ends by the fault, with all of the report.
 *
 * The argument: "deferred" (the cancellation is pending when the thread comes to the fault) or "asynchronous" (the thread may be cancelled at
 * any instruction, and is while it reports or waits).
 *
 * The report can't end before both threads are where they shall be: stderr is a full pipe, which the parent empties when it is told to. */
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { CANCELLED = 3, THREADS = 2, LOOKS = 50 };

static char *volatile block;
static volatile char sink;
static int is_deferred;
static atomic_int at_fault[THREADS];

static void end(void *unused) {
    (void)unused;
    _exit(CANCELLED);
}

__attribute__((noinline)) void reads(void) {
    sink = block[7];
    sink = 1;
}

static void *faulting(void *place) {
    int before;
    pthread_cleanup_push(end, NULL);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    if (is_deferred) {
        pthread_cancel(pthread_self());
    } else {
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before);
    }
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
    atomic_store((atomic_int *)place, (int)syscall(SYS_gettid));
    reads();
    pthread_cleanup_pop(0);
    return NULL;
}

/* What loads the unwinder, so that it isn't loaded when it matters. */
static void *cancelled_at_once(void *unused) {
    pthread_cancel(pthread_self());
    pthread_testcancel();
    return unused;
}

/* Whether a thread sleeps in a call of the kernel. */
static int sleeps(int thread) {
    char path[64], text[256] = {0};
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    int file = open(path, O_RDONLY);
    CHECK(file >= 0, "%s", path);
    ssize_t got = read(file, text, sizeof text - 1);
    close(file);
    const char *name_end = got > 0 ? strrchr(text, ')') : NULL;
    CHECK(name_end != NULL, "%s: %s", path, text);
    return name_end[2] == 'S';
}

/* Makes stderr a pipe that is full; who writes a byte to what is returned has it emptied, and all that follows shown. Only a child returns: this
 * process shows its words, all of them, and then ends as the child did. */
static int hold_stderr(void) {
    int words[2], go[2];
    CHECK(pipe(words) == 0 && pipe(go) == 0, "pipe: %s", strerror(errno));
    fcntl(words[1], F_SETFL, O_NONBLOCK);
    char filling[1] = {0};
    while (write(words[1], filling, 1) == 1) continue;
    fcntl(words[1], F_SETFL, 0);
    pid_t child = fork();
    CHECK(child >= 0, "fork: %s", strerror(errno));
    if (child > 0) {
        char bytes[4096];
        ssize_t got;
        int status;
        close(words[1]);
        close(go[1]);
        if (read(go[0], bytes, 1) != 1) _exit(1);
        while ((got = read(words[0], bytes, sizeof bytes)) > 0) {
            for (ssize_t i = 0; i < got; i++) {
                if (bytes[i] != 0 && write(2, bytes + i, 1) != 1) _exit(1);
            }
        }
        if (waitpid(child, &status, 0) != child) _exit(1);
        if (WIFSIGNALED(status)) {
            signal(WTERMSIG(status), SIG_DFL);
            raise(WTERMSIG(status));
        }
        _exit(WEXITSTATUS(status));
    }
    close(words[0]);
    close(go[0]);
    CHECK(dup2(words[1], 2) == 2, "dup2: %s", strerror(errno));
    close(words[1]);
    return go[1];
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    is_deferred = argc > 1 && strcmp(argv[1], "deferred") == 0;
    CHECK(pthread_create(&threads[0], NULL, cancelled_at_once, NULL) == 0, "pthread_create");
    CHECK(pthread_join(threads[0], NULL) == 0, "pthread_join");
    int go = hold_stderr();
    block = malloc(48);
    free(block);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, faulting, &at_fault[i]) == 0, "pthread_create");
    }
    /* One sleeps because its words find no room, the other because the first one is speaking. */
    for (int looks = 0; looks < LOOKS; sched_yield()) {
        int asleep = 0;
        for (int i = 0; i < THREADS; i++) {
            int thread = atomic_load(&at_fault[i]);
            asleep += thread != 0 && sleeps(thread);
        }
        looks = asleep == THREADS ? looks + 1 : 0;
    }
    if (!is_deferred) {
        for (int i = 0; i < THREADS; i++) pthread_cancel(threads[i]);
    }
    if (write(go, "", 1) != 1) return 1;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    return 0;
}
