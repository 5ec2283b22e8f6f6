//! Models run on LiteRT, in this process and in a child.
//!
//! The library is that of `EDGEWRIGHT_LITERT`, or the cache's, or the active Python environment's. Without one
//! these tests say so and do nothing, unless `EDGEWRIGHT_REQUIRE_LITERT=1` makes that a failure.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests are a face of their own"
)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::time::Duration;

use edgewright_runtime::{Child, Error, Kernels, Place, Search, Session, Settings, find, set_up};
use ir::{DType, Tensor};

const BOTH: [Kernels; 2] = [Kernels::Xnnpack, Kernels::Builtin];
const PATIENCE: Duration = Duration::from_secs(60);

/// The library, or `None` with the reason on standard error.
fn library() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    let search = Search {
        explicit: env::var_os("EDGEWRIGHT_LITERT").map(PathBuf::from),
        cache: cache.map(|folder| folder.join("edgewright")),
        venv: env::var_os("VIRTUAL_ENV").map(PathBuf::from),
    };
    match find(&search) {
        Ok(path) => Some(path),
        Err(e) if env::var("EDGEWRIGHT_REQUIRE_LITERT").is_ok_and(|v| v == "1") => panic!("{e}"),
        Err(e) => {
            eprintln!("skipped: {e}");
            None
        }
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn floats(name: &str, sizes: &[usize]) -> Tensor {
    let bytes = fs::read(fixture(name)).unwrap();
    Tensor::from_bytes(DType::F32, sizes, &bytes).unwrap()
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_litert-child"))
}

fn child(library: &Path, model: &Path, settings: Settings) -> Result<Child, Error> {
    Child::spawn(program(), library, model, settings, PATIENCE)
}

fn assert_is_conv_add(outputs: &[Tensor]) {
    let expected = floats("conv_add.output.f32", &[1, 5, 6, 4]);
    let [output] = outputs else { panic!("one output, not {}", outputs.len()) };
    assert_eq!(output.ty(), expected.ty());
    for (a, b) in output.as_slice::<f32>().iter().zip(expected.as_slice::<f32>()) {
        assert!((a - b).abs() < 1e-5, "{a} is not {b}");
    }
}

#[test]
fn both_kernel_sets_give_the_reference_numbers() {
    let Some(library) = library() else { return };
    let input = floats("conv_add.input.f32", &[1, 5, 6, 3]);
    for kernels in BOTH {
        for threads in [1, 2] {
            let settings = Settings { kernels, threads, profiling: false };
            let mut session = Session::open(&library, &fixture("conv_add.tflite"), settings).unwrap();
            assert_is_conv_add(&session.run(from_ref(&input)).unwrap());
            assert_eq!(session.signature().fully_accelerated, kernels == Kernels::Xnnpack);

            let mut child = child(&library, &fixture("conv_add.tflite"), settings).unwrap();
            assert_eq!(child.signature(), session.signature());
            assert_is_conv_add(&child.run(from_ref(&input)).unwrap());
            assert_is_conv_add(&child.run(from_ref(&input)).unwrap());
        }
    }
}

#[test]
fn the_signature_tells_names_types_and_sizes() {
    let Some(library) = library() else { return };
    let session = Session::open(&library, &fixture("conv_add.tflite"), Settings::default()).unwrap();
    let signature = session.signature();
    assert_eq!(signature.key, "serving_default");
    let [x] = signature.inputs.as_slice() else { panic!("one input") };
    let expected = [1, 5, 6, 3].map(Some).to_vec();
    assert_eq!((x.name.as_str(), x.dtype, &x.sizes), ("x", DType::F32, &expected));
    let [y] = signature.outputs.as_slice() else { panic!("one output") };
    let expected = [1, 5, 6, 4].map(Some).to_vec();
    assert_eq!((y.name.as_str(), y.dtype, &y.sizes), ("output_0", DType::F32, &expected));
}

#[test]
fn the_profile_shows_where_each_operator_ran() {
    let Some(library) = library() else { return };
    let input = floats("conv_add.input.f32", &[1, 5, 6, 3]);
    for kernels in BOTH {
        let settings = Settings { kernels, threads: 1, profiling: true };
        let mut child = child(&library, &fixture("conv_add.tflite"), settings).unwrap();
        let events = child.profile(from_ref(&input)).unwrap();
        let place = if kernels == Kernels::Builtin { Place::Builtin } else { Place::Delegate };
        assert!(events.iter().all(|event| event.place == place), "{kernels:?}: {events:?}");
        if kernels == Kernels::Builtin {
            let nodes: Vec<_> = events.iter().map(|e| (e.node, e.name.as_str())).collect();
            assert_eq!(nodes, [(0, "CONV_2D"), (1, "ADD")]);
        } else {
            assert!(events.iter().any(|e| e.name.contains("Convolution")), "{events:?}");
        }
    }
}

#[test]
fn every_element_type_and_ranks_0_and_1_pass_unchanged() {
    let Some(library) = library() else { return };
    for kernels in BOTH {
        let settings = Settings { kernels, ..Settings::default() };
        let mut session = Session::open(&library, &fixture("reshapes.tflite"), settings).unwrap();
        let signature = session.signature().clone();
        let inputs: Vec<Tensor> = signature
            .inputs
            .iter()
            .map(|port| {
                let sizes: Vec<usize> = port.sizes.iter().map(|n| n.unwrap()).collect();
                let mut tensor = Tensor::zeros(port.dtype, &sizes);
                for (i, byte) in tensor.bytes_mut().iter_mut().enumerate() {
                    *byte = if port.dtype == DType::Bool { i as u8 % 2 } else { i as u8 + 1 };
                }
                tensor
            })
            .collect();
        assert_eq!(inputs.len(), 16);
        let outputs = session.run(&inputs).unwrap();
        for (((input, output), from), to) in
            inputs.iter().zip(&outputs).zip(&signature.inputs).zip(&signature.outputs)
        {
            assert_eq!(output.dtype(), input.dtype());
            assert_eq!(output.bytes(), input.bytes(), "{kernels:?} {}", from.name);
            let sizes: Vec<_> = output.sizes().iter().copied().map(Some).collect();
            assert_eq!(sizes, to.sizes);
        }
    }
}

#[test]
fn an_output_may_be_an_input_or_another_output_or_a_constant() {
    let Some(library) = library() else { return };
    for kernels in BOTH {
        let settings = Settings { kernels, ..Settings::default() };
        let mut session = Session::open(&library, &fixture("shared.tflite"), settings).unwrap();
        for sign in [1f32, -1.0] {
            let inputs = [Tensor::new(&[4], &[sign, 2.0, -3.0, 4.0]), Tensor::new(&[3], &[5f32, sign, 7.0])];
            let y = Tensor::new(&[4], &[sign.max(0.0), 2.0, 0.0, 4.0]);
            let constant = Tensor::new(&[4], &[0f32, 1.0, 2.0, 3.0]);
            let expected = [inputs[0].clone(), y.clone(), y, constant, inputs[1].clone()];
            for (i, (got, want)) in session.run(&inputs).unwrap().iter().zip(&expected).enumerate() {
                assert_eq!(got.to_f64s(), want.to_f64s(), "{kernels:?} output {i}");
            }
        }
    }
}

#[test]
fn a_tensor_without_elements_is_refused() {
    let Some(library) = library() else { return };
    let mut session = Session::open(&library, &fixture("empty.tflite"), Settings::default()).unwrap();
    let error = session.run(&[Tensor::zeros(DType::F32, &[0, 2])]).unwrap_err();
    assert!(error.to_string().contains("without elements"), "{error}");
}

#[test]
fn an_abort_in_a_kernel_is_an_error_that_names_the_signal() {
    let Some(library) = library() else { return };
    let settings = Settings { kernels: Kernels::Builtin, ..Settings::default() };
    let inputs = [Tensor::new(&[4], &[1i8, 2, 3, 4]), Tensor::new(&[4], &[1i8, 1, 1, 1])];
    // It may happen while the model is prepared or while it runs.
    let result = child(&library, &fixture("aborts.tflite"), settings);
    let error = match result {
        Err(error) => error,
        Ok(mut child) => {
            let first = child.run(&inputs).unwrap_err();
            assert_eq!(child.run(&inputs).unwrap_err(), first, "a child that is gone stays gone");
            first
        }
    };
    assert!(matches!(error, Error::Crashed { signal: 6, .. }), "{error:?}");
    assert!(error.to_string().contains("SIGABRT"), "{error}");
}

#[test]
fn a_model_that_does_not_compile_comes_back_with_litert_s_reason() {
    let Some(library) = library() else { return };
    for kernels in BOTH {
        let settings = Settings { kernels, ..Settings::default() };
        let error = child(&library, &fixture("future_version.tflite"), settings).unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error:?}");
        assert!(error.to_string().contains("'RELU' version '99'"), "{error}");
    }
}

#[test]
fn no_part_of_a_file_gives_other_numbers() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.tflite");
    let cases = [("conv_add.tflite", vec![1, 5, 6, 3], 64), ("weights_last.tflite", vec![64], 32)];
    for (name, sizes, step) in cases {
        let input = Tensor::zeros(DType::F32, &sizes);
        let run = |path: &Path| child(&library, path, Settings::default())?.run(from_ref(&input));
        let whole = run(&fixture(name)).unwrap();
        let bytes = fs::read(fixture(name)).unwrap();
        for cut in (0..bytes.len()).step_by(step).chain([bytes.len() - 4]) {
            fs::write(&path, &bytes[..cut]).unwrap();
            // What is cut off may be padding.
            if let Ok(outputs) = run(&path) {
                assert!(outputs == whole, "{name} cut to {cut} bytes");
            }
        }
    }
    fs::write(&path, &fs::read(fixture("weights_last.tflite")).unwrap()[..700]).unwrap();
    let error = child(&library, &path, Settings::default()).unwrap_err().to_string();
    assert!(error.contains("the file is cut off"), "{error}");
}

#[test]
fn a_nonsense_file_is_an_error() {
    let Some(library) = library() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nonsense.tflite");
    fs::write(&path, "nonsense, and a good deal of it").unwrap();
    let error = child(&library, &path, Settings::default()).unwrap_err().to_string();
    assert!(error.contains("it is not a .tflite file"), "{error}");
    let error = child(&library, &folder.path().join("absent"), Settings::default()).unwrap_err().to_string();
    assert!(error.contains("No such file"), "{error}");
}

#[test]
fn wrong_inputs_are_refused_and_cost_nothing() {
    let Some(library) = library() else { return };
    let mut child = child(&library, &fixture("conv_add.tflite"), Settings::default()).unwrap();
    for wrong in [
        vec![],
        vec![Tensor::zeros(DType::F32, &[1, 5, 6, 4])],
        vec![Tensor::zeros(DType::F32, &[5, 6, 3])],
        vec![Tensor::zeros(DType::I32, &[1, 5, 6, 3])],
    ] {
        assert!(matches!(child.run(&wrong), Err(Error::Inputs(_))));
    }
    let error = child.run(&[Tensor::zeros(DType::I32, &[1, 5, 6, 3])]).unwrap_err();
    assert!(error.to_string().contains("'x' is f32[1,5,6,3], i32[1,5,6,3] was given"), "{error}");
    assert_is_conv_add(&child.run(&[floats("conv_add.input.f32", &[1, 5, 6, 3])]).unwrap());
}

#[test]
fn runs_are_timed_one_by_one() {
    let Some(library) = library() else { return };
    let mut child = child(&library, &fixture("conv_add.tflite"), Settings::default()).unwrap();
    let seconds = child.time(&[floats("conv_add.input.f32", &[1, 5, 6, 3])], 5).unwrap();
    assert_eq!(seconds.len(), 5);
    assert!(seconds.iter().all(|&s| s > 0.0 && s < 1.0), "{seconds:?}");
}

#[test]
fn a_child_that_does_not_answer_is_ended() {
    let patience = Duration::from_millis(300);
    let program = fixture("child_sleeps.sh");
    let error = Child::spawn(&program, "".as_ref(), "".as_ref(), Settings::default(), patience).unwrap_err();
    let Error::Hung { said, .. } = &error else { panic!("{error:?}") };
    assert_eq!(said.trim(), "waiting");
}

#[test]
fn a_child_that_ends_or_talks_nonsense_is_an_error() {
    let spawn = |program: &str| {
        Child::spawn(&fixture(program), "".as_ref(), "".as_ref(), Settings::default(), PATIENCE)
    };
    let error = spawn("child_fails.sh").unwrap_err();
    assert!(
        matches!(&error, Error::Exited { code: 2, said, .. } if said.trim() == "no such verb"),
        "{error:?}"
    );
    assert!(spawn("child_babbles.sh").is_err());
    assert!(matches!(spawn("absent"), Err(Error::Process(_))));
}

#[test]
fn a_missing_library_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let search =
        Search { explicit: None, cache: Some(folder.join("cache")), venv: Some(folder.join("venv")) };
    let text = find(&search).unwrap_err().to_string();
    for part in ["LiteRT runtime not found", "cache/litert-2.3.0/libLiteRt", "venv", "edgewright setup"] {
        assert!(text.contains(part), "{text}");
    }
    let named = Search { explicit: Some(folder.join("libLiteRt.so")), ..search };
    let Err(Error::Library { why, .. }) = find(&named) else { panic!("there is no such library") };
    assert!(why.to_lowercase().contains("no such file"), "{why}");
}

#[test]
fn a_python_environment_with_another_release_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    let packages = folder.path().join("lib/python3.11/site-packages");
    fs::create_dir_all(packages.join("ai_edge_litert")).unwrap();
    fs::create_dir_all(packages.join("ai_edge_litert-2.1.4.dist-info")).unwrap();
    for name in ["libLiteRt.so", "libLiteRt.dylib"] {
        fs::write(packages.join("ai_edge_litert").join(name), "").unwrap();
    }
    let search = Search { explicit: None, cache: None, venv: Some(folder.path().to_owned()) };
    let text = find(&search).unwrap_err().to_string();
    assert!(text.contains("it is not ai_edge_litert 2.3.0"), "{text}");
}

#[test]
fn a_library_that_is_not_litert_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libLiteRt.so");
    fs::write(&path, "not a library").unwrap();
    let search = Search { explicit: Some(path), ..Search::default() };
    assert!(matches!(find(&search), Err(Error::Library { .. })));
}

#[test]
#[ignore = "needs a network, and fetches 22 MB"]
fn set_up_fetches_the_library_once() {
    let cache = tempfile::tempdir().unwrap();
    let path = set_up(cache.path()).unwrap();
    assert_eq!(find(&Search { cache: Some(cache.path().to_owned()), ..Search::default() }), Ok(path.clone()));
    let left: Vec<_> =
        fs::read_dir(path.parent().unwrap()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 2, "the library and its licence: {left:?}");
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(set_up(cache.path()), Ok(path.clone()));
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
    Session::open(&path, &fixture("conv_add.tflite"), Settings::default()).unwrap();
}
