//! Claim: the shared object exports the promised names and nothing else, needs few names and no allocator itself, and uses at most
//! 16 bytes of static thread-local storage.

use cairn_tests::{elf, library};
use std::collections::BTreeSet;

const C: &[&str] = &[
    "malloc",
    "free",
    "calloc",
    "realloc",
    "reallocarray",
    "posix_memalign",
    "aligned_alloc",
    "memalign",
    "valloc",
    "pvalloc",
    "cfree",
    "malloc_usable_size",
    "malloc_trim",
    "mallopt",
    "mallinfo",
    "mallinfo2",
    "malloc_stats",
    "malloc_info",
    "free_sized",
    "free_aligned_sized",
    "cairn_check",
    "__libc_malloc",
    "__libc_free",
    "__libc_calloc",
    "__libc_realloc",
    "__libc_memalign",
    "__libc_valloc",
    "__libc_pvalloc",
    "__libc_cfree",
    "__posix_memalign",
];

/// new, new[], delete, delete[]: plain; delete: sized; all: aligned, nothrow, both.
const CXX: &[&str] = &[
    "_Znwm",
    "_Znam",
    "_ZnwmRKSt9nothrow_t",
    "_ZnamRKSt9nothrow_t",
    "_ZnwmSt11align_val_t",
    "_ZnamSt11align_val_t",
    "_ZnwmSt11align_val_tRKSt9nothrow_t",
    "_ZnamSt11align_val_tRKSt9nothrow_t",
    "_ZdlPv",
    "_ZdaPv",
    "_ZdlPvm",
    "_ZdaPvm",
    "_ZdlPvRKSt9nothrow_t",
    "_ZdaPvRKSt9nothrow_t",
    "_ZdlPvSt11align_val_t",
    "_ZdaPvSt11align_val_t",
    "_ZdlPvmSt11align_val_t",
    "_ZdaPvmSt11align_val_t",
    "_ZdlPvSt11align_val_tRKSt9nothrow_t",
    "_ZdaPvSt11align_val_tRKSt9nothrow_t",
];

#[test]
fn exports_are_the_promised_names() {
    assert_eq!(CXX.len(), 20);
    let exported = elf::face(library::shared_object()).exported;
    let promised: BTreeSet<String> = C.iter().chain(CXX).map(|name| name.to_string()).collect();
    let missing: Vec<_> = promised.difference(&exported).collect();
    let beyond: Vec<_> = exported.difference(&promised).collect();
    assert!(
        missing.is_empty() && beyond.is_empty(),
        "missing: {missing:?}\nexported but not promised: {beyond:?}"
    );
}

/// What the library may need of others, each with its reason. The loader looks each name up in all objects of each process that starts,
/// used or not.
const NEEDED: &[(&str, &[&str])] = &[
    ("the compiler calls them", &["memcpy", "memmove", "memset", "memcmp", "bcmp", "strlen"]),
    ("the kernel, by the numbers of its calls (cairn-core, os/call.rs)", &["syscall", "__errno_location"]),
    ("others in the process may have to hear of these calls", &["mmap", "munmap", "mremap", "madvise"]),
    ("answered without the kernel", &["clock_gettime", "sched_getcpu", "getauxval"]),
    (
        "each thread's end, and forks",
        &[
            "pthread_self",
            "pthread_key_create",
            "pthread_key_delete",
            "pthread_setspecific",
            "__register_atfork",
        ],
    ),
    (
        "threads of Cairn's own: the C library has to know of them",
        &["pthread_attr_init", "pthread_attr_setstacksize", "pthread_create"],
    ),
    ("handlers of signals return through the C library", &["sigaction", "pthread_setcancelstate", "abort"]),
    (
        "backtraces, where a look-up by name could free what the heap is just failing at",
        &["_dl_find_object", "dl_iterate_phdr", "dladdr"],
    ),
    ("malloc_info writes to a FILE", &["fwrite"]),
    (
        "a new that fails throws; that they are asked for here has a program with libstdc++ inside export them",
        &[
            "_ZSt15get_new_handlerv",
            "_ZSt17__throw_bad_allocv",
            "__gxx_personality_v0",
            "__cxa_begin_catch",
            "__cxa_end_catch",
            "__cxa_throw",
            "__cxa_allocate_exception",
            "_ZTISt9bad_alloc",
            "_ZTVSt9bad_alloc",
            "_ZNSt9bad_allocD1Ev",
        ],
    ),
    ("a libstdc++ that came later (cairn-malloc, cxx/runtime.rs)", &["dlsym"]),
];

#[test]
fn the_loader_looks_up_few_names() {
    let needed = elf::face(library::shared_object()).needed;
    assert!(needed.contains("syscall"), "{needed:?}: is this test looking at the right table?");
    let is_known = |name: &str| NEEDED.iter().any(|(_, names)| names.contains(&name));
    let beyond: Vec<_> = needed.iter().filter(|name| !is_known(name)).collect();
    assert!(
        beyond.is_empty(),
        "the library needs {beyond:?}, too: can it do without? (a reason belongs into the list)"
    );
}

#[test]
fn the_library_never_allocates_through_libc() {
    let needed = elf::face(library::shared_object()).needed;
    // dlsym may stay: it finds the C++ runtime when a throwing new must throw, with no lock held.
    let allocating =
        ["pthread_atfork", "__cxa_thread_atexit_impl", "printf", "fopen", "strdup", "_Unwind_Resume"];
    let found: Vec<_> = needed
        .iter()
        .filter(|name| C.contains(&name.as_str()) || allocating.contains(&name.as_str()))
        .collect();
    assert!(found.is_empty(), "the library needs {found:?}, which allocate");
}

#[test]
fn thread_local_storage_is_one_initial_exec_slot() {
    let face = elf::face(library::shared_object());
    assert!(face.tls_bytes > 0, "no thread-local slot found: is this test looking at the right segment?");
    assert!(
        face.tls_bytes <= 16,
        "{} bytes of static thread-local storage; at most 16 were promised",
        face.tls_bytes
    );
    assert_eq!(face.dynamic_tls_relocations, 0, "thread-local storage is found by a call");
    assert!(!face.needed.contains("__tls_get_addr"), "thread-local storage is found by __tls_get_addr");
}
