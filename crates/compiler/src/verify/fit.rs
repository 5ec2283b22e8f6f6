//! Recorded tensors as a compiled model takes and gives them: with channels last, in a narrower dtype.

use ir::{Tensor, TensorType};

use crate::ops::{Layout, Op, Order, Transpose};

/// As many axes as any tensor keeps: a compiled model may do without more of size 1 in front (`passes::interface`).
const KEPT: usize = 4;

/// A tensor of PyTorch's as one of this type. Leading axes of size 1 are dropped where it has more than four and the model
/// has fewer. A tensor of rank 4 is put into the order with channels last where its sizes
/// fit in that order only, and where they fit in both if `io` is that order. Floats round; integers must keep their
/// values. Errs where the tensor cannot be of this type.
pub fn fitted(tensor: &Tensor, ty: &TensorType, io: Layout) -> Result<Tensor, String> {
    let misfit = || format!("{} is recorded where the model has {ty}", tensor.ty());
    let wanted = ty.sizes().map_err(|_| misfit())?;
    let mut laid_out = tensor.clone();
    let over = tensor.sizes().len().saturating_sub(wanted.len().max(KEPT));
    if tensor.sizes()[..over].iter().all(|&n| n == 1) {
        laid_out = laid_out.reshaped(&tensor.sizes()[over..]);
    }
    let last = Order::channels_last(4);
    let [fits, fits_last] = match laid_out.sizes().len() {
        4 => [laid_out.sizes() == wanted, last.apply(laid_out.sizes()) == wanted],
        _ => [true, false],
    };
    if fits_last && (io == Layout::Nhwc || !fits) {
        let op = Op::from(Transpose { order: last });
        laid_out = op.evaluate(&[&laid_out]).ok_or_else(misfit)?.remove(0);
    }
    if laid_out.sizes() != wanted {
        return Err(misfit());
    }
    if laid_out.dtype() == ty.dtype {
        return Ok(laid_out);
    }
    if laid_out.dtype().is_float() && ty.dtype.is_float() {
        return Ok(Tensor::from_f64s(ty.dtype, &wanted, laid_out.to_f64s()));
    }
    let (Some((low, high)), true) = (ty.dtype.int_range(), laid_out.dtype().is_int() && ty.dtype.is_int())
    else {
        return Err(misfit());
    };
    let values = laid_out.to_i64s();
    match values.iter().find(|&&v| i128::from(v) < low || i128::from(v) > high) {
        Some(value) => Err(format!("{}: {value} does not fit", misfit())),
        None => Ok(Tensor::from_i64s(ty.dtype, &wanted, values)),
    }
}

/// A tensor of one file as another takes it: as it is, or as an image whose channels move to where the sizes fit.
/// Errs where the tensor cannot be of this type.
pub fn between(tensor: &Tensor, ty: &TensorType) -> Result<Tensor, String> {
    let last = fitted(tensor, ty, Layout::Nchw);
    if last.is_ok() || tensor.sizes().len() != 4 {
        return last;
    }
    let first = Op::from(Transpose { order: Order::channels_first(4) });
    match first.evaluate(&[tensor]) {
        Some(turned) if ty.sizes().is_ok_and(|sizes| sizes == turned[0].sizes()) => {
            fitted(&turned[0], ty, Layout::Nchw)
        }
        _ => last,
    }
}

#[cfg(test)]
mod tests {
    use ir::DType;

    use super::*;

    #[test]
    fn images_are_put_in_order_where_the_model_has_channels_last() {
        let image = Tensor::new(&[1, 2, 1, 3], &[1f32, 2., 3., 4., 5., 6.]);
        let last = Tensor::new(&[1, 1, 3, 2], &[1f32, 4., 2., 5., 3., 6.]);
        assert_eq!(fitted(&image, &last.ty(), Layout::Nchw), Ok(last));
        assert_eq!(fitted(&image, &image.ty(), Layout::Nchw), Ok(image.clone()));
        let square = Tensor::new(&[1, 2, 2, 2], &[1f32, 2., 3., 4., 5., 6., 7., 8.]);
        let turned = fitted(&square, &square.ty(), Layout::Nhwc).unwrap();
        assert_eq!(turned.as_slice::<f32>(), [1., 5., 2., 6., 3., 7., 4., 8.]);
        // A model that has its channels last itself.
        assert_eq!(fitted(&image, &image.ty(), Layout::Nhwc), Ok(image.clone()));
        assert!(fitted(&image, &TensorType::new(DType::F32, &[6]), Layout::Nchw).is_err());
    }

    #[test]
    fn leading_axes_of_size_1_are_dropped_where_the_model_does_without() {
        let video = Tensor::new(&[1, 1, 2, 1, 3], &[1f32, 2., 3., 4., 5., 6.]);
        let last = Tensor::new(&[1, 1, 3, 2], &[1f32, 4., 2., 5., 3., 6.]);
        assert_eq!(fitted(&video, &last.ty(), Layout::Nchw), Ok(last));
        let first = TensorType::new(DType::F32, &[1, 2, 1, 3]);
        assert_eq!(fitted(&video, &first, Layout::Nchw), Ok(video.clone().reshaped(&[1, 2, 1, 3])));
        assert_eq!(fitted(&video, &video.ty(), Layout::Nchw), Ok(video.clone()));
        let longer = Tensor::new(&[2, 1, 2, 1, 1], &[1f32, 2., 3., 4.]);
        assert!(fitted(&longer, &TensorType::new(DType::F32, &[1, 2, 1, 1]), Layout::Nchw).is_err());
        let row = Tensor::new(&[1, 3], &[1f32, 2., 3.]);
        assert!(fitted(&row, &TensorType::new(DType::F32, &[3]), Layout::Nchw).is_err());
    }

    #[test]
    fn channels_move_either_way_between_files() {
        let first = Tensor::new(&[1, 2, 1, 3], &[1f32, 2., 3., 4., 5., 6.]);
        let last = Tensor::new(&[1, 1, 3, 2], &[1f32, 4., 2., 5., 3., 6.]);
        assert_eq!(between(&first, &last.ty()), Ok(last.clone()));
        assert_eq!(between(&last, &first.ty()), Ok(first.clone()));
        assert_eq!(between(&first, &first.ty()), Ok(first.clone()));
        assert!(between(&first, &TensorType::new(DType::F32, &[1, 1, 2, 3])).is_err());
    }

    #[test]
    fn integers_that_would_change_are_refused() {
        let wide = Tensor::new(&[2], &[7i64, 1 << 40]);
        let narrow = TensorType::new(DType::I32, &[2]);
        assert!(fitted(&wide, &narrow, Layout::Nchw).unwrap_err().ends_with("1099511627776 does not fit"));
        let fits = Tensor::new(&[2], &[7i64, -9]);
        assert_eq!(fitted(&fits, &narrow, Layout::Nchw), Ok(Tensor::new(&[2], &[7i32, -9])));
        assert!(fitted(&fits, &TensorType::new(DType::F32, &[2]), Layout::Nchw).is_err());
    }
}
