//! Files that are cut, changed or made to do harm are refused, or read without harm.
#![allow(clippy::unwrap_used, reason = "a test stops where its files are amiss")]

use std::fs;
use std::path::{Path, PathBuf};

use edgewright_weights::read;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Reads whatever the bytes are; what is read must also be readable.
fn survive(path: &Path, bytes: &[u8]) -> bool {
    fs::write(path, bytes).unwrap();
    let Ok(found) = read(path) else { return false };
    for tensor in found.tensors.values().filter(|t| t.bytes() < 1 << 20) {
        tensor.read().unwrap();
    }
    true
}

#[test]
fn truncated_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut");
    for name in ["state.pth", "stream.pth", "state.safetensors"] {
        let whole = fs::read(fixture(name)).unwrap();
        for length in (0..whole.len()).step_by(61) {
            assert!(!survive(&path, &whole[..length]), "{name} cut to {length}");
        }
    }
}

#[test]
fn changed_bytes_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed");
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize
    };
    for name in ["state.pth", "module.pth", "views.pth", "stream.pth", "odd.pth", "state.safetensors"] {
        let whole = fs::read(fixture(name)).unwrap();
        let mut read = 0;
        for _ in 0..400 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random() % 6 {
                let at = random() % bytes.len();
                bytes[at] = random() as u8;
            }
            read += usize::from(survive(&path, &bytes));
        }
        assert!(read > 0 && read < 400, "{name}: {read}");
    }
}

/// A stream checkpoint whose object is this pickle, without storages.
fn stream(object: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];
    bytes.extend(b"\x80\x02M\xe9\x03.");
    bytes.extend(b"\x80\x02}X\x0d\0\0\0little_endian\x88s.");
    bytes.extend(object);
    bytes.extend(b"\x80\x02].");
    bytes
}

#[test]
fn bombs_do_not_go_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb");
    let refused = |object: &[u8], words: &str| {
        fs::write(&path, stream(object)).unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.message.contains(words), "{error}");
    };
    assert!(survive(&path, &stream(b"\x80\x02}.")));

    refused(b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7f.", "MB of text");
    refused(b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", "ends too early");
    refused(b"X\0\0\0\x11", "MB of text");
    refused(b"X\0\0\0\x08", "ends too early");

    // Dicts inside dicts, deeper than any stack: {"a": {"a": …}}
    let mut deep = b"}X\x01\0\0\0a".repeat(100_000);
    deep.push(b'N');
    deep.extend(vec![b's'; 100_000]);
    deep.push(b'.');
    refused(&deep, "levels deep");

    // A list of ten times one list of ten times one list …, thirty levels.
    let mut laughs = b"]q\x00".to_vec();
    for level in 0..30u8 {
        laughs.extend(b"](");
        laughs.extend([b'h', level].repeat(10));
        laughs.extend([b'e', b'q', level + 1]);
    }
    laughs.push(b'.');
    refused(&laughs, "values");

    refused(&vec![b'('; (1 << 23) + 1], "opcodes");

    // What contains itself is no harm.
    assert!(survive(&path, &stream(b"]q\x00h\x00a.")));
}

#[test]
fn tensors_beyond_their_storage_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("beyond");
    // A view of a storage of four floats.
    let tensor = |sizes: &[u8], strides: &[u8], offset: u8| {
        let mut object = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(".to_vec();
        object.extend(b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x04tQK");
        object.push(offset);
        object.extend([sizes, strides].concat());
        object.extend(b"\x89NtRs.");
        let mut bytes = stream(&object);
        bytes.truncate(bytes.len() - 4);
        bytes.extend(b"\x80\x02]X\x01\0\0\x000a.");
        bytes.extend(4u64.to_le_bytes());
        bytes.extend([0; 16]);
        bytes
    };
    assert!(survive(&path, &tensor(b"K\x04\x85", b"K\x01\x85", 0)));
    assert_eq!(read(&path).unwrap().tensors["w"].sizes(), [4]);
    assert!(survive(&path, &tensor(b"K\x02\x85", b"K\x02\x85", 1)));
    assert!(!survive(&path, &tensor(b"K\x05\x85", b"K\x01\x85", 0)));
    assert!(!survive(&path, &tensor(b"K\x04\x85", b"K\x01\x85", 1)));
    let huge = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    let two = [&huge[..], &huge[..], b"\x86"].concat();
    assert!(!survive(&path, &tensor(&two, b"K\0K\0\x86", 0)));
    assert!(!survive(&path, &tensor(&two, &two, 0)));
    // Ten thousand million elements of one stored: more than a repetition is given.
    assert!(!survive(&path, &tensor(b"\x8a\x05\0\xe4\x0b\x54\x02\x85", b"K\0\x85", 0)));
}
