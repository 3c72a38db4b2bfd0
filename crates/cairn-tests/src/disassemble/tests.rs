//! The analyser, held against machine code that was assembled by hand: each case is one shape of function.
//!
//! Each piece of code lies at 0x1000. The functions `slow` at 0x1040 and `other` at 0x1050 stand behind it.

use super::golden::Verdict;
use super::path::fast_path;
use super::{Code, Counts, FastPath, Fault, Flow, Golden, Image, Place, Processor, Record};

const START: u64 = 0x1000;
const SLOW: usize = 0x40;
const OTHER: usize = 0x50;

/// The fast path of the x86-64 function with these bytes.
fn x86(body: &[u8]) -> Result<FastPath, Fault> {
    const NOP: u8 = 0x90;
    const RET: u8 = 0xc3;
    let mut code = [NOP; 0x60];
    code[..body.len()].copy_from_slice(body);
    code[OTHER - 1] = RET;
    code[0x5f] = RET;
    let functions =
        [("f", START..START + body.len() as u64), ("slow", 0x1040..0x1050), ("other", 0x1050..0x1060)];
    fast_path(&Image::from_code(Processor::X86_64, START, &code, &functions), START)
}

/// The names of the exits.
fn exits(path: &FastPath) -> Vec<&str> {
    path.exits.iter().map(|exit| exit.name.as_str()).collect()
}

#[test]
fn a_straight_path_counts_each_access() {
    let path = x86(&[
        0x48, 0x8b, 0x07, // mov rax, [rdi]
        0x48, 0x8d, 0x40, 0x08, // lea rax, [rax+8]: no access
        0x48, 0x89, 0x06, // mov [rsi], rax
        0x48, 0xff, 0x06, // inc qword [rsi]: a load and a store
        0x50, // push rax: a store
        0x58, // pop rax: a load
        0xc3, // ret: not counted as a load
    ])
    .expect("a fast path");
    let counts = Counts { instructions: 7, branches: 0, loads: 3, stores: 3, ways: 1, exits: 0 };
    assert_eq!(path.counts, counts);
    assert_eq!(path.listing[0], "mov     rax, [rdi]");
    assert_eq!(path.listing[6], "ret");
    assert!(path.atomics.is_empty());
}

#[test]
fn a_branch_that_returns_another_way_is_counted_and_the_longer_way_is_listed() {
    let path = x86(&[
        0x85, 0xff, // test edi, edi
        0x74, 0x01, // je 1005
        0xc3, // ret
        0x31, 0xc0, // 1005: xor eax, eax
        0xc3, // ret
    ])
    .expect("a fast path");
    let counts = Counts { instructions: 4, branches: 1, loads: 0, stores: 0, ways: 2, exits: 0 };
    assert_eq!(path.counts, counts);
    assert!(path.listing[1].ends_with("; taken; else another way to return"), "{:?}", path.listing);
    assert_eq!(path.listing[2], "xor     eax, eax");
}

#[test]
fn branches_to_one_slow_function_are_one_exit() {
    let path = x86(&[
        0x48, 0x39, 0xf7, // cmp rdi, rsi
        0x77, 0x3b, // ja slow
        0x8b, 0x07, // mov eax, [rdi]
        0x85, 0xc0, // test eax, eax
        0x74, 0x01, // je 100c
        0xc3, // ret
        0xe9, 0x2f, 0x00, 0x00, 0x00, // 100c: jmp slow
    ])
    .expect("a fast path");
    let counts = Counts { instructions: 6, branches: 2, loads: 1, stores: 0, ways: 1, exits: 1 };
    assert_eq!(path.counts, counts);
    assert_eq!(exits(&path), ["slow"]);
    assert!(path.listing[1].ends_with("; if so, leaves for slow"), "{:?}", path.listing);
    assert!(path.listing[4].ends_with("; if so, leaves for slow"), "{:?}", path.listing);
}

#[test]
fn two_different_exits_are_seen() {
    let path = x86(&[
        0x48, 0x39, 0xf7, // cmp rdi, rsi
        0x77, 0x3b, // ja slow
        0x74, 0x01, // je 1008
        0xc3, // ret
        0xe9, 0x43, 0x00, 0x00, 0x00, // 1008: jmp other
    ])
    .expect("a fast path");
    assert_eq!(exits(&path), ["slow", "other"]);
    assert_eq!(path.counts.exits, 2);
}

#[test]
fn a_call_beside_the_path_is_an_exit() {
    let path = x86(&[
        0x85, 0xff, // test edi, edi
        0x75, 0x01, // jne 1005
        0xc3, // ret
        0xe8, 0x36, 0x00, 0x00, 0x00, // 1005: call slow
        0xc3, // ret
    ])
    .expect("a fast path");
    assert_eq!((path.counts.instructions, path.counts.ways, exits(&path)), (3, 1, vec!["slow"]));
}

#[test]
fn a_call_on_every_way_leaves_no_fast_path() {
    let fault = x86(&[
        0xe8, 0x3b, 0x00, 0x00, 0x00, // call slow
        0xc3, // ret
    ])
    .expect_err("no fast path");
    assert!(matches!(&fault, Fault::AlwaysLeaves(exits) if exits.len() == 1), "{fault}");
    assert!(fault.to_string().contains("calls or jumps to slow"), "{fault}");
}

#[test]
fn a_loop_is_a_fault_and_is_named() {
    let fault = x86(&[
        0x31, 0xc0, // xor eax, eax
        0x48, 0xff, 0xcf, // 1002: dec rdi
        0x75, 0xfb, // jne 1002
        0xc3, // ret
    ])
    .expect_err("no fast path");
    assert!(matches!(&fault, Fault::Loop(at) if at == "jne" || at.starts_with("dec")), "{fault}");
}

#[test]
fn a_loop_that_only_leads_to_the_exit_is_none_of_our_business() {
    let path = x86(&[
        0x85, 0xff, // test edi, edi
        0x75, 0x01, // jne 1005
        0xc3, // ret
        0x48, 0xff, 0xcf, // 1005: dec rdi
        0x75, 0xfb, // jne 1005
        0xe9, 0x31, 0x00, 0x00, 0x00, // jmp slow
    ])
    .expect("a fast path");
    assert_eq!((path.counts.instructions, exits(&path)), (3, vec!["slow"]));
}

#[test]
fn indivisible_accesses_are_reported_on_each_way_to_return() {
    let prefix = x86(&[0xf0, 0x48, 0xff, 0x07, 0xc3]).expect("a fast path"); // lock inc qword [rdi]; ret
    assert_eq!(prefix.atomics.len(), 1);
    assert_eq!((prefix.counts.loads, prefix.counts.stores), (1, 1));
    let exchange = x86(&[0x48, 0x87, 0x07, 0xc3]).expect("a fast path"); // xchg [rdi], rax; ret
    assert_eq!(exchange.atomics.len(), 1);
    let registers = x86(&[0x48, 0x87, 0xf8, 0xc3]).expect("a fast path"); // xchg rax, rdi; ret
    assert_eq!(registers.atomics.len(), 0);
    let on_the_shorter_way = x86(&[
        0x85, 0xff, // test edi, edi
        0x74, 0x04, // je 1008
        0xf0, 0xff, 0x07, // lock inc dword [rdi]
        0xc3, // ret
        0x90, 0x90, 0x90, 0xc3, // 1008: nop; nop; nop; ret
    ])
    .expect("a fast path");
    assert_eq!((on_the_shorter_way.counts.instructions, on_the_shorter_way.atomics.len()), (6, 1));
}

#[test]
fn a_trap_and_a_jump_to_who_knows_where_are_exits() {
    let path = x86(&[
        0x85, 0xff, // test edi, edi
        0x74, 0x05, // je 1009
        0x78, 0x01, // js 1007
        0xc3, // ret
        0x0f, 0x0b, // 1007: ud2
        0xff, 0xe0, // 1009: jmp rax
    ])
    .expect("a fast path");
    assert_eq!(exits(&path), ["a trap (`ud2`)", "wherever `jmp rax` goes"]);
}

#[test]
fn a_bridge_is_crossed_and_its_jump_counted() {
    let path = x86(&[
        0x48, 0x89, 0xf7, // mov rdi, rsi
        0xe9, 0x48, 0x00, 0x00, 0x00, // jmp other
    ])
    .expect("a fast path");
    // `other` is fifteen times `nop` and a `ret`.
    assert_eq!((path.counts.instructions, path.counts.exits), (2 + 16, 0));
    assert_eq!(path.listing[1], "jmp     onward");
}

#[test]
fn running_on_into_the_next_function_is_an_exit() {
    let fault = x86(&[0x90; SLOW]).expect_err("no fast path");
    assert!(fault.to_string().contains("slow"), "{fault}");
}

#[test]
fn bytes_that_are_no_instruction_are_an_error() {
    let fault = x86(&[0x06, 0xc3]).expect_err("no fast path");
    assert!(matches!(&fault, Fault::Unreadable(why) if why.contains("0x1000")), "{fault}");
}

#[test]
fn addresses_of_data_are_named() {
    // mov rax, [rip+0x39]: the seven bytes end at 0x1007.
    let path = x86(&[0x48, 0x8b, 0x05, 0x39, 0x00, 0x00, 0x00, 0xc3]).expect("a fast path");
    assert_eq!(path.listing[0], "mov     rax, [rip+slow]");
}

/// The aarch64 instruction with this word at 0x1000.
fn arm(word: u32) -> super::Instruction {
    let image = Image::from_code(Processor::Aarch64, START, &word.to_le_bytes(), &[]);
    image.decode(START).unwrap_or_else(|why| panic!("{word:#010x}: {why}"))
}

#[test]
fn aarch64_flow_is_read_from_the_word() {
    let cases = [
        (0xf110_001f, Flow::Next),                          // cmp x0, #0x400
        (0xd503_245f, Flow::Next),                          // bti c
        (0x5400_07e8, Flow::Branch(0x10fc)),                // b.hi +0xfc
        (0xb400_00c9, Flow::Branch(0x1018)),                // cbz x9, +0x18
        (0x3718_0089, Flow::Branch(0x1010)),                // tbnz w9, #3, +0x10
        (0x1400_0036, Flow::Jump(0x10d8)),                  // b +0xd8
        (0x97ff_fff0, Flow::Call(Place::Known(0x0fc0))),    // bl -0x40
        (0xd61f_0200, Flow::JumpIndirect(Place::Computed)), // br x16
        (0xd63f_0060, Flow::Call(Place::Computed)),         // blr x3
        (0xd400_0001, Flow::Call(Place::Computed)),         // svc #0
        (0xd420_0020, Flow::Trap),                          // brk #1
        (0x0000_0000, Flow::Trap),                          // udf #0
        (0xd65f_03c0, Flow::Return),                        // ret
    ];
    for (word, flow) in cases {
        assert_eq!(arm(word).flow, flow, "{word:#010x}");
    }
}

#[test]
fn aarch64_accesses_are_read_from_the_verb() {
    let cases = [
        (0xa941_2909, (1, 0, false)), // ldp x9, x10, [x8, #16]
        (0xf900_010a, (0, 1, false)), // str x10, [x8]
        (0xc8df_fc01, (1, 0, false)), // ldar x1, [x0]
        (0xc89f_fc01, (0, 1, false)), // stlr x1, [x0]
        (0xf8bf_c001, (1, 0, false)), // ldapr x1, [x0]
        (0xf840_0801, (1, 0, false)), // ldtr x1, [x0]
        (0x3dc0_0000, (1, 0, false)), // ldr q0, [x0]
        (0xf980_0000, (0, 0, false)), // prfm pldl1keep, [x0]
        (0x9000_0001, (0, 0, false)), // adrp x1, …
        (0xd53b_d048, (0, 0, false)), // mrs x8, tpidr_el0
        (0xc85f_7c01, (1, 0, true)),  // ldxr x1, [x0]
        (0xc801_7c02, (0, 1, true)),  // stxr w1, x2, [x0]
        (0xf8e1_8002, (1, 1, true)),  // swpal x1, x2, [x0]
        (0xf821_0002, (1, 1, true)),  // ldadd x1, x2, [x0]
        (0xf821_3002, (1, 1, true)),  // ldset x1, x2, [x0]
        (0xf821_001f, (1, 1, true)),  // stadd x1, [x0]
        (0xc8e1_fc02, (1, 1, true)),  // casal x1, x2, [x0]
    ];
    for (word, accesses) in cases {
        let found = arm(word);
        assert_eq!((found.loads, found.stores, found.atomic), accesses, "{word:#010x} {}", found.mnemonic);
    }
}

#[test]
fn an_aarch64_function_is_followed_like_any_other() {
    let words: [u32; 7] = [
        0xf110_001f, // cmp x0, #0x400
        0x5400_00a8, // b.hi slow (0x1018)
        0xd53b_d048, // mrs x8, tpidr_el0
        0xf940_0100, // ldr x0, [x8]
        0xb400_0040, // cbz x0, slow (0x1018)
        0xd65f_03c0, // ret
        0xd65f_03c0, // slow: ret
    ];
    let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let functions = [("f", START..0x1018), ("slow", 0x1018..0x101c)];
    let image = Image::from_code(Processor::Aarch64, START, &code, &functions);
    let path = fast_path(&image, START).expect("a fast path");
    let counts = Counts { instructions: 6, branches: 2, loads: 1, stores: 0, ways: 1, exits: 1 };
    assert_eq!(path.counts, counts, "{:#?}", path.listing);
    assert!(path.listing[4].starts_with("cbz     x0 "), "{:?}", path.listing);
}

fn a_record(instructions: u32, loads: u32) -> Record {
    Record {
        function: "malloc".to_string(),
        counts: Counts { instructions, branches: 1, loads, stores: 0, ways: 1, exits: 1 },
        exits: vec!["slow".to_string(), "other".to_string()],
        listing: vec!["mov     rax, rdi".to_string(), "ret".to_string()],
    }
}

#[test]
fn a_golden_file_that_is_written_reads_the_same() {
    let golden = Golden { compiler: "rustc 1.0".to_string(), records: vec![a_record(5, 2), a_record(7, 3)] };
    assert_eq!(Golden::parse(&golden.write()), Ok(golden));
}

#[test]
fn a_golden_file_with_a_fault_names_the_line() {
    let no_function = Golden::parse("# head\n  counts: instructions 1\n").expect_err("no function");
    assert!(no_function.starts_with("line 2: "), "{no_function}");
    let no_count = Golden::parse("f\n  counts: instructions 1, branches 0\n").expect_err("no loads");
    assert!(no_count.contains("loads is missing"), "{no_count}");
}

#[test]
fn only_a_count_that_grows_is_longer() {
    let golden = a_record(5, 2);
    assert_eq!(golden.compare(&a_record(5, 2)), Verdict::Equal);
    let shorter = golden.compare(&a_record(4, 2));
    assert_eq!(shorter, Verdict::Shorter("malloc: instructions 5 → 4".to_string()));
    // A trade of one for the other is still for a reviewer to see.
    let Verdict::Longer(report) = golden.compare(&a_record(4, 3)) else { panic!("a load more is longer") };
    assert!(report.starts_with("malloc: instructions 5 → 4, loads 2 → 3\n"), "{report}");
    assert!(report.contains("  -  counts: instructions 5"), "{report}");
    assert!(report.contains("  +  counts: instructions 4"), "{report}");
}
