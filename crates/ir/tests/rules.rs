//! Rules, the patches they return, and the loop that applies them.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod operators;

use edgewright_ir as ir;
use ir::{Journal, Patch, Rule, Site, rules, rules_pass};
use operators::{Graph, Op, graph};

/// `negate(negate(x))  =>  x`
fn drop_two_negations(at: Site<'_, Op>) -> Option<Patch<'_, Op>> {
    let below = at.sole_producer(0).filter(|_| at.node().op == Op::Negate)?;
    (below.node().op == Op::Negate).then(|| at.patch().replace(at.output(), below.inputs()[0]))
}

/// `add(x, x)  =>  scale(x) { by = 2 }`
fn scale_for_sum(at: Site<'_, Op>) -> Option<Patch<'_, Op>> {
    let ([a, b], Op::Add) = (at.inputs(), &at.node().op) else { return None };
    if a != b {
        return None;
    }
    let mut patch = at.patch();
    let doubled = patch.add(Op::Scale { by: 2.0, exact: true }, [*a]);
    Some(patch.replace(at.output(), doubled))
}

/// `scale(x) { by = 2 }  =>  add(x, x)`: undoes the rule above, as no rule may.
fn sum_for_scale(at: Site<'_, Op>) -> Option<Patch<'_, Op>> {
    let Op::Scale { by: 2.0, .. } = at.node().op else { return None };
    let mut patch = at.patch();
    let sum = patch.add(Op::Add, [at.inputs()[0]; 2]);
    Some(patch.replace(at.output(), sum))
}

/// Puts a tensor of another type in its place.
fn split_for_negate(at: Site<'_, Op>) -> Option<Patch<'_, Op>> {
    (at.node().op == Op::Negate).then(|| {
        let mut patch = at.patch();
        let part = patch.add_all(Op::Split { parts: 2, axis: 0 }, [at.inputs()[0]])[0];
        patch.replace(at.output(), part)
    })
}

/// Adds tensors of different types.
fn misfit_for_negate(at: Site<'_, Op>) -> Option<Patch<'_, Op>> {
    (at.node().op == Op::Negate).then(|| {
        let mut patch = at.patch();
        let part = patch.add_all(Op::Split { parts: 2, axis: 0 }, [at.inputs()[0]])[0];
        let sum = patch.add(Op::Add, [at.inputs()[0], part]);
        patch.replace(at.output(), sum)
    })
}

fn run(graph: &mut Graph, rules: &[Rule<Op>], journal: &mut Journal) -> Result<(), String> {
    let found =
        rules_pass("test::pass", "", rules.to_vec()).run(graph, journal).map_err(|d| d[0].to_string());
    found?;
    ir::validate(graph, ir::Stage::Any).map_err(|d| d[0].to_string())
}

const CHAIN: &str = r#"graph @g(%x: f32[2]) -> f32[2] {
  %a = negate(%x) : f32[2]  @0
  %b = negate(%a) : f32[2]  @1
  %c = add(%b, %b) : f32[2]  @2
  return %c
}
@0 = m.py:1 in f, aten.neg.default "a"
@1 = m.py:2 in f, aten.neg.default "b"
@2 = m.py:3 in f, aten.add.Tensor "c"
"#;

#[test]
fn rules_run_until_none_matches() {
    let mut graph = graph(CHAIN);
    let mut journal = Journal { trace: Some(Vec::new()), ..Journal::default() };
    run(&mut graph, rules![drop_two_negations, scale_for_sum], &mut journal).unwrap();
    let after = r#"graph @g(%x: f32[2]) -> f32[2] {
  %c.1 = scale(%x) {by=2.0, exact=true} : f32[2]  @0
  return %c.1
}
@0 = scale_for_sum(@1)
@1 = m.py:3 in f, aten.add.Tensor "c"
"#;
    assert_eq!(ir::print(&graph), after);
    let fired: Vec<_> = journal.firings.iter().map(|(&name, &n)| (name, n)).collect();
    assert_eq!(fired, [("drop_two_negations", 1), ("scale_for_sum", 1)]);
    assert_eq!(journal.trace.unwrap(), ["drop_two_negations at %b", "scale_for_sum at %c"]);
}

#[test]
fn a_value_with_another_reader_is_not_dropped() {
    let text = CHAIN.replace("-> f32[2] {", "-> f32[2], f32[2] {").replace("return %c", "return %c, %a");
    let mut graph = graph(&text);
    run(&mut graph, rules![drop_two_negations], &mut Journal::default()).unwrap();
    assert_eq!(ir::print(&graph), text);
}

#[test]
fn two_rules_that_undo_each_other_are_a_bug_that_names_both() {
    let mut graph = graph(CHAIN);
    let bug = run(&mut graph, rules![scale_for_sum, sum_for_scale], &mut Journal::default()).unwrap_err();
    assert!(bug.starts_with("error[bug]: rules never come to rest: "), "{bug}");
    assert!(bug.contains("scale_for_sum (") && bug.contains("sum_for_scale ("), "{bug}");
}

#[test]
fn a_patch_that_does_not_fit_is_a_bug_at_its_line() {
    let text = CHAIN.replace("%c = add(%b, %b)", "%c = negate(%b)");
    for (rules, why) in [
        (
            rules![split_for_negate] as &[Rule<Op>],
            "split_for_negate made a patch that does not fit: replaces f32[2] by f32[1]",
        ),
        (
            rules![misfit_for_negate],
            "misfit_for_negate made a patch that does not fit: it adds two tensors of one type, not f32[2] and others",
        ),
    ] {
        let mut graph = graph(&text);
        let bug = run(&mut graph, rules, &mut Journal::default()).unwrap_err();
        assert!(bug.contains(why) && bug.contains("m.py:1 in f"), "{bug}");
        assert_eq!(ir::print(&graph), text, "nothing is changed");
    }
}
