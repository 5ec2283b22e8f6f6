//! Archives of `torch.export` as the reader sees them: `tests/archives` and the cases of `tests/ops`.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]
//!
//! `tests/archives/make.py` writes the archives and records what PyTorch says of each: its weights, or one run.

use std::path::{Path, PathBuf};

use edgewright_compiler::dialect::aten::Argument;
use edgewright_compiler::evaluate;
use edgewright_compiler::front::torch::{Options, Program, import, read};
use ir::{DType, Diagnostic, Level, Tensor};
use safetensors::{Dtype, SafeTensors};

/// The versions of PyTorch that wrote the archives.
const VERSIONS: &[&str] = &["2.9", "2.11", "2.14", "2.15"];

/// A folder at the root of the repository.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

/// Where the archive of this name lies, for each version.
fn archives(name: &str) -> impl Iterator<Item = PathBuf> {
    VERSIONS.iter().map(move |version| folder("tests/archives").join(version).join(format!("{name}.pt2")))
}

fn program(path: &Path) -> Program {
    program_with(path, &Options::default())
}

fn program_with(path: &Path, options: &Options) -> Program {
    read(path, options).unwrap_or_else(|errors| panic!("{}: {}", path.display(), told(&errors)))
}

fn refused(path: &Path) -> Vec<Diagnostic> {
    match read(path, &Options::default()) {
        Ok(_) => panic!("{} is read", path.display()),
        Err(errors) => errors,
    }
}

fn told(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().map(Diagnostic::to_string).collect()
}

/// What `make.py` recorded beside the archive, by name.
fn recorded(path: &Path, prefix: &str) -> Vec<(String, Tensor)> {
    let bytes = std::fs::read(path.with_extension("safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<(String, Tensor)> = file
        .iter()
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, view)| {
            let dtype = match view.dtype() {
                Dtype::BOOL => DType::Bool,
                Dtype::U8 => DType::U8,
                Dtype::I8 => DType::I8,
                Dtype::I16 => DType::I16,
                Dtype::I32 => DType::I32,
                Dtype::I64 => DType::I64,
                Dtype::F16 => DType::F16,
                Dtype::BF16 => DType::Bf16,
                Dtype::F32 => DType::F32,
                Dtype::F64 => DType::F64,
                other => panic!("{other:?} is not recorded"),
            };
            (name.to_owned(), Tensor::from_bytes(dtype, view.shape(), view.data()).unwrap())
        })
        .collect();
    tensors.sort_by_key(|(name, _)| name.rsplit('.').next().and_then(|n| n.parse::<usize>().ok()));
    tensors
}

/// Computes the program on the recorded inputs and compares with the recorded outputs.
fn assert_runs_as_recorded(path: &Path, program: &Program) {
    let graph =
        import::import(program).unwrap_or_else(|errors| panic!("{}: {}", path.display(), told(&errors)));
    let inputs: Vec<Tensor> = recorded(path, "input.").into_iter().map(|(_, tensor)| tensor).collect();
    let found = evaluate::run(&graph, &inputs).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let wanted = recorded(path, "output.");
    assert_eq!(found.len(), wanted.len(), "{}", path.display());
    for ((name, wanted), found) in wanted.iter().zip(&found) {
        assert_eq!(found.ty(), wanted.ty(), "{} of {}", name, path.display());
        let (wanted, found) = (wanted.to_f64s(), found.to_f64s());
        let largest = wanted.iter().filter(|x| x.is_finite()).fold(1.0f64, |all, x| all.max(x.abs()));
        for (w, f) in wanted.iter().zip(&found) {
            // Infinities are equal, and sums of other order differ in the last bits.
            assert!(
                w == f || (w - f).abs() <= 1e-5 * largest,
                "{} of {}: {found:?}, not {wanted:?}",
                name,
                path.display()
            );
        }
    }
}

#[test]
fn every_operator_case_is_read() {
    let mut folders = vec![folder("tests/ops"), folder("examples")];
    let mut count = 0;
    // A case that is refused may be so for what the reader says of it.
    let refused = std::fs::read_to_string(folder("tests/ops/refused.md")).unwrap();
    let listed = |path: &Path| {
        let case = path.strip_prefix(folder("tests/ops")).map(|p| p.with_extension("").display().to_string());
        case.is_ok_and(|case| refused.contains(&format!("| {case} |")))
    };
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "pt2") {
                count += 1;
                assert!(listed(&path) || !program(&path).outputs.is_empty(), "{}", path.display());
            }
        }
    }
    assert!(count > 500, "{count} archives");
}

#[test]
fn weights_are_read_as_pytorch_lays_them_out() {
    for path in archives("weights") {
        let program = program(&path);
        let wanted = recorded(&path, "");
        assert_eq!(wanted.len(), 21);
        for (name, wanted) in &wanted {
            let stored = program.constants.values().find(|weight| weight.name == *name);
            // PyTorch gives two names to tied weights, and 2.11 and later use one of them for both.
            let stored = stored
                .or_else(|| program.constants.values().find(|w| name == "embedding" && w.name == "tied"));
            let stored = stored.unwrap_or_else(|| panic!("{}: no {name}", path.display()));
            assert!(stored.data.read().unwrap() == *wanted, "{}: {name} {:?}", path.display(), stored.data);
        }
        let options = Options { verify_checksums: true, ..Options::default() };
        assert_eq!(program_with(&path, &options).constants.len(), program.constants.len());
    }
}

#[test]
fn writes_become_values_that_compute_the_same() {
    let names =
        ["in-place", "slice-writes", "slice-writes-decomposed", "deep-views", "casts", "reshapes", "scratch"];
    for path in names.into_iter().flat_map(archives) {
        let program = program(&path);
        for call in &program.calls {
            let packet = call.target.split('.').nth(1).unwrap();
            assert!(
                !packet.ends_with('_') || packet.ends_with("__"),
                "{} in {}",
                call.target,
                path.display()
            );
        }
        assert_runs_as_recorded(&path, &program);
    }
}

#[test]
fn masked_writes_become_calls_of_their_functional_forms() {
    for path in archives("masked") {
        let program = program(&path);
        let targets: Vec<&str> = program.calls.iter().map(|call| call.target.as_ref()).collect();
        // PyTorch 2.15 spells `z[mask] = 3` as masked_fill too; before, it is an index_put, which becomes a choice.
        let fill = ["aten.masked_fill.Scalar", "aten.where.self"];
        assert!(targets.contains(&fill[0]) && fill.contains(targets.last().unwrap()), "{targets:?}");
        let last = program.calls.last().unwrap().result(0).unwrap();
        assert_eq!(program.outputs[1].tensor, last.name);
        assert_runs_as_recorded(&path, &program);
    }
}

#[test]
fn regions_that_change_nothing_stand_in_line() {
    for path in ["no-grad", "autocast-off"].into_iter().flat_map(archives) {
        let program = program(&path);
        assert!(program.calls.iter().all(|call| call.target.starts_with("aten.")), "{}", path.display());
        assert_runs_as_recorded(&path, &program);
    }
}

#[test]
fn sizes_are_settled_by_shapes_and_by_pins() {
    for path in archives("halves") {
        let errors = refused(&path);
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].code.name, "unpinned-size");
        assert!(errors[0].notes.iter().any(|note| note.ends_with("is axis 2 of 'x'")), "{}", errors[0]);
        assert!(
            errors[0].help.as_ref().unwrap().ends_with("--shape x=1,1,11,8 --shape y=6,2"),
            "{}",
            errors[0]
        );

        let shapes = vec![("x".to_owned(), vec![1, 1, 11, 8]), ("y".to_owned(), vec![6, 2])];
        let by_shape = program_with(&path, &Options { shapes, ..Options::default() });
        assert_runs_as_recorded(&path, &by_shape);
        let pins = by_shape.pins.iter().map(|(name, value)| (name.to_string(), *value)).collect();
        let by_pin = program_with(&path, &Options { pins, ..Options::default() });
        assert_eq!(by_pin.calls, by_shape.calls);
    }
    for path in archives("resized") {
        let shapes = vec![("x".to_owned(), vec![1, 1, 11, 8])];
        let program = program_with(&path, &Options { shapes, ..Options::default() });
        let result = program.calls.last().unwrap().result(0).unwrap();
        assert_eq!(result.ty, recorded(&path, "output.")[0].1.ty());
    }
}

#[test]
fn sizes_that_do_not_fit_are_refused_all_at_once() {
    for path in archives("halves") {
        let shapes =
            vec![("x".to_owned(), vec![2, 1, 11]), ("y".to_owned(), vec![7, 3]), ("z".to_owned(), vec![1])];
        let options = Options { shapes, pins: vec![("s999".to_owned(), 3)], ..Options::default() };
        let errors = read(&path, &options).expect_err("nothing fits");
        let all = told(&errors);
        for part in [
            "'x' has 4 axes, not 3",
            "axis 1 of 'y' was exported as 2",
            "no input 'z'",
            "called s999",
            "which is 7 for no s",
        ] {
            assert!(all.contains(part), "{part}: {all}");
        }
    }
    for path in archives("message-dynamic") {
        let shapes = vec![("latents".to_owned(), vec![2, 3, 6, 7]), ("msg".to_owned(), vec![3, 16])];
        let errors = read(&path, &Options { shapes, ..Options::default() }).expect_err("two batches");
        assert!(
            told(&errors).contains("axis 0 of 'msg'") && told(&errors).contains("not 3"),
            "{}",
            told(&errors)
        );
    }
}

#[test]
fn a_pinned_program_is_the_one_exported_at_those_sizes() {
    for (dynamic, fixed) in archives("message-dynamic").zip(archives("message-small")) {
        let shapes = vec![("latents".to_owned(), vec![1, 3, 6, 4]), ("msg".to_owned(), vec![1, 9])];
        let options = Options { shapes, ..Options::default() };
        let pinned = program_with(&dynamic, &options);
        assert_eq!(calls(&pinned), calls(&program(&fixed)), "{}", dynamic.display());
        // A batch of 1 lies outside of what an AUTO axis was checked for.
        assert!(
            pinned.warnings.iter().any(|w| w.code.name == "pin-out-of-range" && w.level == Level::Warning)
        );
        assert_runs_as_recorded(&fixed, &pinned);
    }
    for (named, fixed) in archives("message-named").zip(archives("message")) {
        let shapes = vec![("latents".to_owned(), vec![1, 3, 6, 6])];
        let pinned = program_with(&named, &Options { shapes, ..Options::default() });
        assert_eq!(calls(&pinned), calls(&program(&fixed)), "{}", named.display());
        assert!(pinned.warnings.is_empty(), "{}", told(&pinned.warnings));
        let shapes = vec![("latents".to_owned(), vec![1, 3, 100, 6])];
        let warned = program_with(&named, &Options { shapes, ..Options::default() });
        assert!(told(&warned.warnings).contains("is 100, but the exporter has checked 4 to 12"));
    }
}

/// Every call as text: its target, its arguments with defaults left out, its results.
fn calls(program: &Program) -> Vec<String> {
    let argument = |argument: &Argument| match argument {
        Argument::Tensor(_) | Argument::Tensors(_) => {
            argument.tensors().map(|t| format!("{} {} ", t.name, t.ty)).collect::<String>()
        }
        other => format!("{other:?}"),
    };
    let call = |call: &edgewright_compiler::dialect::aten::Call| {
        let arguments: String =
            call.arguments.iter().map(|(name, value)| format!("{name}={},", argument(value))).collect();
        let results: String =
            call.results.iter().flatten().map(|t| format!("{} {} ", t.name, t.ty)).collect();
        format!("{results}= {}({arguments})", call.target)
    };
    program.calls.iter().map(call).collect()
}

#[test]
fn inputs_and_outputs_keep_their_names_and_order() {
    for path in archives("structured") {
        let program = program(&path);
        let inputs: Vec<(&str, bool)> = program.inputs.iter().map(|i| (&*i.name, i.keyword)).collect();
        assert_eq!(inputs, [("x", false), ("scale", true), ("options_bias", true)]);
        let outputs: Vec<Option<&str>> = program.outputs.iter().map(|o| o.name.as_deref()).collect();
        assert_eq!(outputs, [Some("y"), Some("levels.0")]);
        assert_eq!(program.warnings.len(), 3, "{}", told(&program.warnings));
    }
}

#[test]
fn calls_know_their_lines() {
    for (name, function) in
        [("lines", "forward"), ("lines-decomposed", "forward"), ("lines-strict", "helper")]
    {
        for path in archives(name) {
            let program = program(&path);
            let sin = program.calls.iter().find(|call| &*call.target == "aten.sin.default").unwrap();
            let line = program.origins.leaf(sin.origin).unwrap().line().cloned().unwrap();
            assert_eq!(
                (line.file.as_str(), line.function.as_str()),
                ("make.py", function),
                "{}",
                path.display()
            );
            let code = if function == "forward" { "y = helper(x)" } else { "return x.sin()" };
            assert_eq!(line.code, code, "{}", path.display());
            let relu = program.calls.iter().find(|call| &*call.target == "aten.relu.default").unwrap();
            let leaf = program.origins.leaf(relu.origin).unwrap();
            assert_eq!((leaf.module.as_str(), leaf.node.as_str()), ("body.1", "relu"));
            assert_eq!(leaf.class, "torch.nn.modules.activation.ReLU");
        }
    }
}

#[test]
fn several_programs_need_a_choice() {
    for path in archives("two") {
        let error = refused(&path).remove(0);
        assert_eq!(error.code.name, "which-model");
        assert_eq!(error.notes, ["they are encoder, decoder"]);
        for (model, sizes) in [("encoder", [1, 4]), ("decoder", [1, 2])] {
            let program = program_with(&path, &Options { model: Some(model.into()), ..Options::default() });
            assert_eq!(program.inputs[0].ty.sizes().unwrap(), sizes);
            // Weights are numbered through all programs of an archive.
            assert_eq!(program.constants["p_weight"].data.read().unwrap().count(), 8);
        }
        let other = read(&path, &Options { model: Some("vocoder".into()), ..Options::default() });
        assert!(told(&other.expect_err("there is no vocoder")).contains("no program 'vocoder'"));
    }
}

#[test]
fn what_cannot_be_compiled_is_refused_with_its_place() {
    for (name, code, part) in [
        ("autocast-on", "autocast", "in forward"),
        ("cond", "unsupported-control-flow", "torch.cond("),
        ("counter", "stateful-model", "self.count += 1"),
        ("counter-decomposed", "stateful-model", "'count'"),
        ("trained", "training-mode", "self.drop(self.norm(x))"),
        ("nonzero", "data-dependent-size", "u0"),
        ("custom", "unknown-operator", "mylib.double_it.default"),
        ("strided-beyond", "unsupported-view", "y.as_strided("),
        ("meta", "invalid-weight", "the archive has no weights"),
    ] {
        for path in archives(name) {
            let errors = refused(&path);
            let only = errors.iter().all(|e| [code, "unsupported-operator"].contains(&e.code.name));
            assert!(only && errors[0].code.name == code, "{}: {}", path.display(), told(&errors));
            assert!(told(&errors).contains(part), "{}: {}", path.display(), told(&errors));
        }
    }
    for path in archives("trained") {
        assert_eq!(refused(&path).len(), 2, "normalisation and dropout are told at once");
    }
    for path in archives("nonzero") {
        assert_eq!(refused(&path).len(), 2, "the size and the operator that makes it are told at once");
    }
}

#[test]
fn a_write_into_an_input_is_told() {
    for path in archives("input-written") {
        let program = program(&path);
        assert_eq!(program.warnings.len(), 1);
        assert!(told(&program.warnings).contains("forward writes its input 'x'"));
        assert_runs_as_recorded(&path, &program);
    }
}

#[test]
fn other_programs_compute_what_pytorch_does() {
    for path in ["indexed", "lines", "lines-strict", "message"].into_iter().flat_map(archives) {
        assert_runs_as_recorded(&path, &program(&path));
    }
    for path in archives("strided") {
        assert_eq!(&*program(&path).calls.last().unwrap().target, "aten.as_strided.default");
    }
    for path in archives("my.model v1") {
        assert_eq!(program(&path).constants.len(), 2);
    }
}
