//! What can be wrong with a saved PyTorch program.

ir::codes! {
    /// The file cannot be read.
    CANNOT_READ = "cannot-read-file", Io;

    /// The file is not an archive that `torch.export.save` has written.
    ///
    /// Edgewright compiles what `torch.export.save(torch.export.export(model, example_inputs), "model.pt2")`
    /// writes. A TorchScript file, a checkpoint (`.pt`, `.pth`, `.safetensors`) and an AOTInductor package hold no
    /// graph of that kind: export the model again from Python.
    NOT_A_PROGRAM = "not-an-exported-program", Invalid;

    /// The archive was written by a version of PyTorch whose archives keep weights as pickles.
    ///
    /// Up to PyTorch 2.8 the weights of a `.pt2` are a pickle, which is a program, and Edgewright executes none.
    /// Load the archive and save it again with PyTorch 2.9 or later.
    OLD_ARCHIVE = "archive-too-old", Invalid;

    /// The archive or the program in it is damaged, or contradicts itself.
    INVALID_ARCHIVE = "invalid-archive", Invalid;

    /// The archive holds more than one program, or not the one that was asked for.
    WHICH_MODEL = "which-model", Usage;

    /// A weight of the program cannot be read from the archive.
    ///
    /// Weights of a model that was exported under `FakeTensorMode` or on the `meta` device have no bytes; tensor
    /// subclasses are stored as pickles, which Edgewright does not execute.
    INVALID_WEIGHT = "invalid-weight", Invalid;

    /// The sizes that were asked for do not fit the program, or each other.
    SHAPE_MISMATCH = "shape-mismatch", Usage;

    /// A size lies outside the range for which the exporter has checked the program.
    ///
    /// The program is compiled for this size all the same. Verify the result against PyTorch at these sizes.
    PIN_OUT_OF_RANGE = "pin-out-of-range", Failed;

    /// The program calls an operator that Edgewright does not know.
    ///
    /// A custom operator has no body in the archive: write it in terms of ATen operators, or register a
    /// decomposition and call `run_decompositions()` before saving.
    UNKNOWN_OPERATOR = "unknown-operator", Unsupported;

    /// The program has control flow that depends on data.
    UNSUPPORTED_CONTROL_FLOW = "unsupported-control-flow", Unsupported;

    /// The program runs part of the model under autocast.
    ///
    /// Inside an autocast region the archive does not say where values are cast to half precision. Export the
    /// model without autocast, or cast its tensors explicitly.
    AUTOCAST = "autocast", Unsupported;

    /// The program was exported in training mode.
    ///
    /// Dropout then draws random numbers and batch normalisation uses the statistics of the batch. Call
    /// `model.eval()` before `torch.export.export`.
    TRAINING_MODE = "training-mode", Unsupported;

    /// The model changes its own buffers or parameters, and its outputs depend on them.
    ///
    /// A compiled model keeps no state between calls. Make the state an input and an output of `forward`.
    STATEFUL = "stateful-model", Unsupported;

    /// The model writes into one of its inputs.
    ///
    /// The compiled model computes the same outputs and leaves the input as it was.
    INPUT_WRITTEN = "input-written", Failed;

    /// The model writes through a view in a way that Edgewright cannot follow.
    UNSUPPORTED_WRITE = "unsupported-write", Unsupported;

    /// The model looks at memory in a way that goes beyond the tensor it is given.
    ///
    /// `as_strided` addresses the storage behind a tensor. It is compiled where the tensor fills its storage in the
    /// order of its elements.
    UNSUPPORTED_VIEW = "unsupported-view", Unsupported;

    /// An output of `forward` is not a tensor.
    ///
    /// It is the same for every input, so the compiled model leaves it out.
    CONSTANT_OUTPUT = "constant-output", Failed;
}
