//! The pages under `tests/passes`: a graph before, the passes, the graph after; both sides compute the same.
//!
//! A page holds sections. In each, a line `Passes: …` names what runs, a block `ir before` holds the graph, and a
//! block `ir after` what becomes of it. `BLESS=1 cargo test -p edgewright-compiler --test passes` writes the
//! second from what the passes make.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::path::{Path, PathBuf};

use edgewright_compiler as compiler;

use compiler::dialect::tfl::Builtin;
use compiler::lint::Profile;
use compiler::ops::{Graph, Layout, Pass};
use compiler::passes::Limits;
use compiler::passes::assume::Holds;
use compiler::{evaluate, passes, verify};
use ir::{Journal, Stage, Tensor, validate};

fn pass(name: &str) -> Pass {
    match name {
        "accumulate" => passes::accumulate::rows(),
        "layout::assign" => passes::layout::assign(Layout::Nchw),
        "layout::assign(nhwc)" => passes::layout::assign(Layout::Nhwc),
        "dedupe" => passes::dedupe::equals(),
        "rank(4)" => passes::rank::at_most(4),
        "rank" => passes::rank::at_most(None),
        "simplify" => passes::simplify::identities(),
        "fold" => passes::fold::constants(),
        "fuse" => passes::fuse::producers(),
        "fuse::consumers" => passes::fuse::consumers(false),
        "sink" => passes::sink::reshapes(),
        "regroup" => passes::regroup::terms(),
        "fuse::activations" => passes::fuse::activations(),
        "lower" => passes::lower::within(&Limits::default()),
        "interface(bstm)" => passes::interface::within(&profile("bstm")),
        "layout::assign(images)" => passes::layout::assign(passes::layout::Ends::Images),
        "narrow::integers(bstm)" => passes::narrow::integers(&profile("bstm")),
        "permutations(bstm)" => passes::permutations::within(&profile("bstm")),
        "rank(bstm)" => passes::rank::within(&profile("bstm")),
        "lower(xnnpack-fast)" => passes::lower::within(&profile("xnnpack-fast")),
        "lower(bstm)" => passes::lower::within(&profile("bstm")),
        other if bits(other).is_some() => {
            let said = bits(other).map(|name| (name.to_string(), Holds::Bits));
            passes::assume::inputs(&said.into_iter().collect::<Vec<_>>())
        }
        other => match other.strip_prefix("lower(forbid ").and_then(|names| names.strip_suffix(')')) {
            Some(names) => passes::lower::within(&forbidden(names)),
            None => panic!("no pass is called {other}"),
        },
    }
}

/// The input that a pass is told to hold bits.
fn bits(pass: &str) -> Option<&str> {
    pass.strip_prefix("assume(")?.strip_suffix("=bits)")
}

/// The limits of a hardware profile.
fn profile(name: &str) -> Limits {
    Profile::find(name).unwrap_or_else(|found| panic!("{found:?}")).into()
}

/// Limits that forbid the builtins of these names.
fn forbidden(names: &str) -> Limits {
    let named = |name: &str| {
        let builtin = Builtin::NAMED.iter().copied().find(|b| b.name() == Some(name));
        builtin.unwrap_or_else(|| panic!("no builtin is called {name}"))
    };
    Limits::forbidding(names.split(' ').map(named).collect())
}

struct Case {
    title: String,
    passes: Vec<String>,
    before: String,
    /// The lines of the page between which the graph after stands, and what they say.
    after: (usize, usize),
}

/// The sections of a page. Panics where one lacks a part, naming it.
fn cases(lines: &[&str]) -> Vec<Case> {
    let mut found = Vec::new();
    let (mut title, mut passes, mut before) = (String::new(), Vec::new(), None);
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let end =
            |from: usize| from + lines[from..].iter().position(|l| *l == "```").expect("a block is closed");
        if let Some(text) = line.strip_prefix("## ") {
            title = text.to_string();
        } else if let Some(text) = line.strip_prefix("Passes: ") {
            passes = text.split(", ").map(|p| p.trim_matches(['`', '.']).to_string()).collect();
        } else if line == "```ir before" {
            before = Some(lines[at + 1..end(at + 1)].join("\n"));
            at = end(at + 1);
        } else if line == "```ir after" {
            let before = before.take().unwrap_or_else(|| panic!("'{title}' has no graph before"));
            let after = (at + 1, end(at + 1));
            found.push(Case { title: title.clone(), passes: passes.clone(), before, after });
            at = end(at + 1);
        }
        at += 1;
    }
    assert!(before.is_none(), "'{title}' has no graph after");
    found
}

/// Elements drawn by a fixed generator, from −2 to 2.
fn seeded(ty: &ir::TensorType, seed: u64) -> Tensor {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let count = ty.count().unwrap();
    let reals = (0..count).map(|_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f64 / f64::from(1 << 22) - 2.0
    });
    let reals: Vec<f64> =
        if ty.dtype.is_float() { reals.collect() } else { reals.map(|x| (x + 2.0).floor()).collect() };
    Tensor::from_f64s(ty.dtype, &ty.sizes().unwrap(), reals)
}

/// A tensor as one of this type, which differs in its layout at most; by a pass that changes the interface, also in its
/// integers' dtype and in leading axes of size 1.
fn laid_out(tensor: &Tensor, ty: &ir::TensorType, io: Layout, changes: bool) -> Result<Tensor, String> {
    if changes {
        return verify::fitted(tensor, ty, io);
    }
    if tensor.dtype() != ty.dtype || (io == Layout::Nchw && tensor.ty() != *ty) {
        return Err(format!("{} became {ty}", tensor.ty()));
    }
    verify::fitted(tensor, ty, io)
}

/// Do both graphs compute the same, where the signature of the second is laid out as `io` says? Errs with the first
/// numbers that differ.
/// `bits` names the input that holds bits, and `changes` says that the interface may change its types.
fn same_numbers(
    before: &Graph,
    after: &Graph,
    io: Layout,
    bits: Option<&str>,
    changes: bool,
) -> Result<(), String> {
    for seed in [1, 2] {
        let input = |(&i, seed): (&ir::ValueId, u64)| match seeded(before.ty(i), seed) {
            tensor if bits == Some(&*before.value(i).name) => {
                let bits = tensor.to_f64s().into_iter().map(|x| f64::from(u8::from(x > 0.5)));
                Tensor::from_f64s(tensor.dtype(), tensor.sizes(), bits)
            }
            tensor => tensor,
        };
        let inputs: Vec<Tensor> = before.inputs().iter().zip(seed..).map(input).collect();
        let given = inputs.iter().zip(after.inputs()).map(|(t, &i)| laid_out(t, after.ty(i), io, changes));
        let given = given.collect::<Result<Vec<_>, _>>()?;
        let expected = evaluate::run(before, &inputs).map_err(|d| format!("before: {d:?}"))?;
        let found = evaluate::run(after, &given).map_err(|d| format!("after: {d:?}"))?;
        for (e, f) in expected.iter().zip(&found) {
            let e = laid_out(e, &f.ty(), io, changes)?;
            let (e, f) = (e.to_f64s(), f.to_f64s());
            let size = e.iter().fold(1e-3f64, |m, x| m.max(x.abs()));
            let close = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-5 * size;
            if let Some((a, b)) = e.iter().zip(&f).find(|(a, b)| !close(**a, **b)) {
                return Err(format!("{a} became {b}"));
            }
        }
    }
    Ok(())
}

fn run(page: &Path, bless: bool) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut blessed: Vec<String> = lines.iter().map(|l| l.to_string()).collect();
    let mut failures = Vec::new();
    let cases = cases(&lines);
    assert!(!cases.is_empty(), "{} holds no case", page.display());
    for case in cases.iter().rev() {
        let title = format!("{}: {}", page.file_name().unwrap().to_string_lossy(), case.title);
        let before: Graph = ir::parse(&case.before, &|_| None).unwrap_or_else(|e| panic!("{title}: {e}"));
        let mut graph = before.clone();
        let mut journal = Journal::default();
        for name in &case.passes {
            pass(name).run(&mut graph, &mut journal).unwrap_or_else(|d| panic!("{title}: {d:?}"));
            validate(&graph, Stage::Static).unwrap_or_else(|d| panic!("{title}: {d:?}"));
        }
        let nhwc = case.passes.iter().any(|p| p.contains("nhwc"));
        let io = if nhwc { Layout::Nhwc } else { Layout::Nchw };
        let bits = case.passes.iter().find_map(|p| bits(p));
        let changing = ["interface", "narrow", "layout::assign(images)"];
        let changes = case.passes.iter().any(|p| changing.iter().any(|pass| p.starts_with(pass)));
        same_numbers(&before, &graph, io, bits, changes)
            .unwrap_or_else(|e| panic!("{title}: {e}\n{}", ir::print(&graph)));
        let mut after: Vec<String> = ir::print(&graph).lines().map(String::from).collect();
        after.extend(journal.decisions.iter().map(|d| format!("# {d}")));
        let (from, to) = case.after;
        if after != lines[from..to] {
            failures.push(format!("{title}:\n{}", after.join("\n")));
            blessed.splice(from..to, after);
        }
    }
    if bless && !failures.is_empty() {
        std::fs::write(page, blessed.join("\n") + "\n").unwrap();
        return Vec::new();
    }
    failures
}

#[test]
fn every_page_says_what_the_passes_make() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/passes");
    let mut pages: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    pages.retain(|p| p.extension().is_some_and(|e| e == "md"));
    pages.sort();
    assert!(!pages.is_empty());
    #[expect(clippy::disallowed_methods, reason = "a test is run by hand, and told so, to write its pages")]
    let bless = std::env::var_os("BLESS").is_some();
    let failures: Vec<String> = pages.iter().flat_map(|p| run(p, bless)).collect();
    assert!(failures.is_empty(), "pages that are stale (BLESS=1 writes them):\n{}", failures.join("\n\n"));
}

#[test]
fn numbers_that_differ_are_seen() {
    let graph = |op: &str| -> Graph {
        let text = format!("graph @g(%x: f32[2,3]) -> f32[2,3] {{\n%y = {op} : f32[2,3]\nreturn %y\n}}");
        ir::parse(&text, &|_| None).unwrap()
    };
    let (kept, changed) = (graph("cast(%x) {dtype=f32}"), graph("reshape(%x) {sizes=[2,3]}"));
    assert_eq!(same_numbers(&kept, &changed, Layout::Nchw, None, false), Ok(()));
    let text = "graph @g(%x: f32[2,3]) -> f32[2,3] {\n%z = reshape(%x) {sizes=[3,2]} : f32[3,2]\n\
                %y = transpose(%z) {order=[1,0]} : f32[2,3]\nreturn %y\n}";
    let other: Graph = ir::parse(text, &|_| None).unwrap();
    assert!(same_numbers(&kept, &other, Layout::Nchw, None, false).is_err());
}
