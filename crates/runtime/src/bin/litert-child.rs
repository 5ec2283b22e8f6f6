//! A program that does nothing but serve one model: the child of this crate's tests.

fn main() -> std::io::Result<()> {
    edgewright_runtime::serve()
}
