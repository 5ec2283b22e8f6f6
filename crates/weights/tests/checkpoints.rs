//! Checkpoints that PyTorch wrote hold what PyTorch says, whatever else they hold; and what does not fit is told.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]

use std::fs;
use std::path::{Path, PathBuf};

use edgewright_weights::{Differences, Format, NamedTensors, fitted, read, under, write_safetensors};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn codes(read: &NamedTensors) -> Vec<&str> {
    read.warnings.iter().map(|w| w.code.name).collect()
}

/// The checkpoint, held against what PyTorch says is in it.
fn checked(name: &str) -> NamedTensors {
    let found = read(&fixture(&format!("{name}.pth"))).unwrap();
    let expected = read(&fixture(&format!("{name}.safetensors"))).unwrap();
    assert!(!expected.tensors.is_empty());
    let differences = Differences::of_values(&expected.tensors, &found.tensors, &mut |_| {}).unwrap();
    assert!(differences.is_empty(), "{name}: {differences:?}");
    found
}

#[test]
fn checkpoints_hold_what_pytorch_says() {
    for name in ["state", "stream", "nested", "views", "dtypes"] {
        assert_eq!(codes(&checked(name)), [""; 0], "{name}");
    }
}

#[test]
fn the_classes_of_a_whole_module_are_inert() {
    let found = checked("module");
    assert_eq!(codes(&found), ["inert-objects"]);
    assert!(found.warnings[0].message.contains("torch.nn.modules.conv.Conv2d"), "{}", found.warnings[0]);
}

#[test]
fn a_call_in_a_pickle_is_named_and_not_made() {
    let found = checked("evil");
    assert_eq!(codes(&found), ["inert-objects"]);
    assert!(found.warnings[0].message.contains("posix.system"), "{}", found.warnings[0]);
    assert!(!Path::new("pwned").exists());
}

#[test]
fn tensors_that_bytes_do_not_tell_are_left_out_one_by_one() {
    let found = checked("odd");
    let told = found.warnings.iter().map(|w| w.message.clone()).collect::<Vec<_>>().join("\n");
    for name in ["quantized", "sparse", "conjugated", "meta"] {
        assert!(told.contains(&format!("'{name}' is left out")), "{told}");
    }
    assert_eq!(codes(&found), ["skipped-tensor"; 4]);
}

#[test]
fn tensors_with_attributes_are_tensors_but_those_of_a_class_are_left_out() {
    let found = checked("marked");
    let told: Vec<&str> = found.warnings.iter().map(|w| w.message.as_str()).collect();
    assert!(told.len() == 1 && told[0].contains("'subclass' is left out: it is a __main__.Sub"), "{told:?}");
}

#[test]
fn what_is_written_is_what_the_safetensors_library_writes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["state", "nested", "views", "dtypes", "stream", "module"] {
        let out = folder.path().join(name);
        let found = read(&fixture(&format!("{name}.pth"))).unwrap();
        let length = write_safetensors(&out, &found.tensors, &mut |_| {}).unwrap();
        let written = fs::read(&out).unwrap();
        assert_eq!(written.len() as u64, length);
        assert!(written == fs::read(fixture(&format!("{name}.safetensors"))).unwrap(), "{name}");
    }
}

#[test]
fn other_files_are_told_apart() {
    assert_eq!(Format::of(&fixture("state.pth")).unwrap(), Format::Checkpoint);
    assert_eq!(Format::of(&fixture("stream.pth")).unwrap(), Format::Stream);
    assert_eq!(Format::of(&fixture("state.safetensors")).unwrap(), Format::Safetensors);
    for (name, words) in [
        ("script.pt", "TorchScript"),
        ("plain.pkl", "not one that torch.save wrote"),
        ("make.py", "no checkpoint"),
    ] {
        let error = read(&fixture(name)).unwrap_err();
        assert!(error.message.contains(words), "{error}");
    }
}

#[test]
fn all_differences_are_told_at_once() {
    let all = read(&fixture("nested.safetensors")).unwrap().tensors;
    let model = under(&all, "model.", true);
    let state = read(&fixture("state.pth")).unwrap().tensors;
    assert!(Differences::of_values(&model, &state, &mut |_| {}).unwrap().is_empty());

    let mut other = model.clone();
    other.insert("surplus".into(), other["scale"].clone());
    other.insert("conv.bias".into(), other["norm.bias"].clone());
    other.insert("norm.weight".into(), other["head.bias"].clone());
    other.shift_remove("conv.weight");
    let found = Differences::of_values(&model, &other, &mut |_| {}).unwrap();
    assert_eq!((found.missing.join(" "), found.extra.join(" ")), ("conv.weight".into(), "surplus".into()));
    assert_eq!(found.types.len(), 1);
    let [(name, difference)] = &found.values[..] else { panic!("{found:?}") };
    let largest =
        model["conv.bias"].read().unwrap().to_f64s().into_iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    assert_eq!((name.as_str(), difference.count, difference.largest), ("conv.bias", 4, Some(largest)));

    let wrong = fitted(&model, &other).unwrap_err();
    assert_eq!(wrong.len(), 3, "{wrong:?}");
    assert!(wrong.iter().all(|d| d.code.name == "unsuitable-weights" && d.notes.len() == 1));
}

#[test]
fn a_tied_weight_may_be_given_once() {
    let model = read(&fixture("views.pth")).unwrap().tensors;
    let mut given = read(&fixture("views.safetensors")).unwrap().tensors;
    let mut torn = given.clone();
    torn.insert("tied.b".into(), ir::Tensor::zeros(ir::DType::F32, &[3, 5]).into());
    assert!(fitted(&model, &torn).unwrap_err()[0].message.contains("one tensor in the model"));
    given.shift_remove("tied.b");
    let filled = fitted(&model, &given).unwrap();
    assert!(filled["tied.b"].read().unwrap() == given["tied.a"].read().unwrap());
    given.shift_remove("tied.a");
    assert!(fitted(&model, &given).is_err());
}
