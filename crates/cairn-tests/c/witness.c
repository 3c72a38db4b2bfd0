/* Preloaded beside the library under test: tells, for each process that starts, whose malloc it uses.
 * One line is appended to the file named by WITNESS_LOG: "<program>\t<object that malloc came from>\n".
 *
 * The address of malloc would not do: in a program that is not position-independent it may be the program's own jump
 * to the real one. What a call binds to stands in this object's jump table, so that is read. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

/* What a call of malloc from here reaches, or NULL. Linked with -z now, so that the table is filled in. */
static void *bound_malloc(void) {
    const ElfW(Rela) *table = NULL;
    const ElfW(Sym) *symbols = NULL;
    const char *names = NULL;
    size_t bytes = 0;
    for (const ElfW(Dyn) *entry = _DYNAMIC; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_JMPREL) table = (const void *)entry->d_un.d_ptr;
        if (entry->d_tag == DT_SYMTAB) symbols = (const void *)entry->d_un.d_ptr;
        if (entry->d_tag == DT_STRTAB) names = (const void *)entry->d_un.d_ptr;
        if (entry->d_tag == DT_PLTRELSZ) bytes = entry->d_un.d_val;
    }
    if (!table || !symbols || !names) return NULL;
    for (size_t i = 0; i < bytes / sizeof *table; i++)
        if (strcmp(names + symbols[ELF64_R_SYM(table[i].r_info)].st_name, "malloc") == 0)
            return *(void **)(__ehdr_start + table[i].r_offset);
    return NULL;
}

__attribute__((constructor)) static void tell(void) {
    const char *path = getenv("WITNESS_LOG");
    if (!path) return;
    free(malloc(1)); /* The call that puts malloc into the table. */
    char line[8300], program[4096];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n < 0) return;
    program[n] = 0;
    Dl_info info;
    void *bound = bound_malloc();
    const char *object = bound && dladdr(bound, &info) && info.dli_fname ? info.dli_fname : "?";
    int length = snprintf(line, sizeof line, "%s\t%s\n", program, object);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return;
    /* One write of one line: lines of several processes don't mix. */
    if (write(fd, line, length) != length) _exit(126);
    close(fd);
}
