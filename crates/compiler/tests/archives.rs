//! Archives of `torch.export` as the reader sees them: `tests/archives` and the cases of `tests/ops`.

use std::path::{Path, PathBuf};

use edgewright_compiler::front::torch::{Options, read};

/// A folder at the root of the repository.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

#[test]
fn every_operator_case_is_read() {
    let mut folders = vec![folder("tests/ops"), folder("examples")];
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "pt2") {
                count += 1;
                let program =
                    read(&path, &Options::default()).unwrap_or_else(|errors| panic!("{path:?}: {errors:?}"));
                assert!(!program.outputs.is_empty(), "{path:?}");
            }
        }
    }
    assert!(count > 500, "{count} archives");
}
