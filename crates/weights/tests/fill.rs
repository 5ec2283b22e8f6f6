//! An archive that is given other elements holds these, and is otherwise the same file; or it is told why it cannot be.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use edgewright_weights::{Differences, read, write_filled};
use indexmap::IndexMap;
use ir::{Constant, DType, Diagnostic, Tensor};

type Tensors = IndexMap<String, Constant>;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Those tensors of the checkpoint `views.pth`, which lies in the file as an archive does.
fn views(names: &[&str]) -> Tensors {
    let all = read(&fixture("views.pth")).unwrap().tensors;
    names.iter().map(|&name| (name.to_string(), all[name].clone())).collect()
}

/// Other elements of the same types, in memory.
fn others(of: &Tensors) -> Tensors {
    let other = |data: &Constant| {
        let count: usize = data.sizes().iter().product();
        Tensor::from_f64s(data.dtype(), data.sizes(), (0..count).map(|i| i as f64 + 0.25)).into()
    };
    of.iter().map(|(name, data)| (name.clone(), other(data))).collect()
}

fn filled(path: &Path, wanted: &Tensors, given: &Tensors) -> Result<u64, Vec<Diagnostic>> {
    write_filled(path, &fixture("views.pth"), wanted, given, &mut |_| {})
}

/// Reads every entry of a ZIP archive, whose reader compares the checksums.
fn is_sound(path: &Path) -> bool {
    let mut zip = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    (0..zip.len()).all(|i| io::copy(&mut zip.by_index(i).unwrap(), &mut io::sink()).is_ok())
}

#[test]
fn transposed_tied_and_empty_weights_hold_what_they_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filled");
    let wanted = views(&["transposed", "channels_last", "scalar", "empty", "tied.a", "tied.b"]);
    let given = others(&wanted);
    let length = filled(&path, &wanted, &given).unwrap();
    let old = fs::read(fixture("views.pth")).unwrap();
    assert_eq!((length, fs::metadata(&path).unwrap().len()), (old.len() as u64, length));
    assert!(is_sound(&path) && is_sound(&fixture("views.pth")));

    let after = read(&path).unwrap().tensors;
    let found: Tensors = wanted.keys().map(|name| (name.clone(), after[name].clone())).collect();
    let differences = Differences::of_values(&given, &found, &mut |_| {}).unwrap();
    assert!(differences.is_empty(), "{differences:?}");
    // `parameter` is a column of `transposed`: the third.
    let column: Vec<f64> = (0..8).map(|row| (row * 6 + 2) as f64 + 0.25).collect();
    assert_eq!(after["parameter"].read().unwrap().to_f64s(), column);

    // Its own weights make the first file again.
    let back = folder.path().join("back");
    write_filled(&back, &path, &found, &wanted, &mut |_| {}).unwrap();
    assert!(fs::read(&back).unwrap() == old);
}

#[test]
fn a_part_of_a_storage_is_filled_and_the_rest_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("filled");
    let wanted = views(&["parameter"]);
    let given = others(&wanted);
    filled(&path, &wanted, &given).unwrap();
    assert!(is_sound(&path));
    let (before, after) = (views(&["transposed"]), read(&path).unwrap().tensors);
    let (mut expected, found) = (before["transposed"].read().unwrap(), after["transposed"].read().unwrap());
    for (row, value) in given["parameter"].read().unwrap().to_f64s().into_iter().enumerate() {
        expected.as_mut_slice::<f32>()[row * 6 + 2] = value as f32;
    }
    assert!(expected == found);
}

#[test]
fn every_weight_that_cannot_be_filled_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = views(&["transposed", "slice", "step", "expanded", "parameter"]);
    let told = filled(&folder.path().join("filled"), &wanted, &others(&wanted)).unwrap_err();
    let told: Vec<String> = told.iter().map(|d| d.message.clone()).collect();
    for (name, why) in [
        ("slice", "elements lie apart"),
        ("step", "elements lie apart"),
        ("expanded", "elements lie apart"),
        ("parameter", "shares elements with 'transposed'"),
    ] {
        assert!(told.iter().any(|t| t.contains(&format!("'{name}'")) && t.contains(why)), "{name}: {told:?}");
    }
    assert_eq!(told.len(), 4);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_archive_that_contradicts_itself_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, path) = (folder.path().join("archive"), folder.path().join("filled"));
    let mut bytes = fs::read(fixture("views.pth")).unwrap();
    // The checksum behind the contents of the entry that is filled.
    let whole = views(&["scalar"]);
    let number = 2.5f32.to_le_bytes();
    let at = (0..bytes.len() - 12)
        .find(|&i| bytes[i..].starts_with(&number) && bytes[i + 4..].starts_with(b"PK\x07\x08"));
    bytes[at.unwrap() + 8] ^= 1;
    fs::write(&archive, &bytes).unwrap();
    let error = write_filled(&path, &archive, &whole, &others(&whole), &mut |_| {}).unwrap_err();
    assert!(error[0].message.contains("different checksums"), "{error:?}");
    assert!(!path.exists());

    let none: Tensors = [("none".to_string(), Tensor::zeros(DType::F32, &[2]).into())].into();
    write_filled(&path, &archive, &none, &none, &mut |_| {}).unwrap();
    assert!(fs::read(&path).unwrap() == bytes, "what is not of the file is not written");
}
