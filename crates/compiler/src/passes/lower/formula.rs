//! Equations between elementwise operators, written term by term into a patch.

use ir::{DType, Tensor, ValueId};

use crate::ops::{Arithmetic, Clamp, Compare, Op, Patch, Site, Unary, Where};

/// A patch that grows by terms over values of one dtype.
pub(super) struct Formula<'g> {
    patch: Patch<'g>,
    dtype: DType,
    result: ValueId,
}

impl<'g> Formula<'g> {
    /// An equation for the output of this site, over values of the dtype of its first input. `None` where that is not
    /// `f32`: its numbers are made for that.
    pub(super) fn of_reals(at: Site<'g>) -> Option<Self> {
        Some(Self::of(at)?).filter(|f| f.dtype == DType::F32)
    }

    /// An equation for the output of this site, over values of the dtype of its first input.
    pub(super) fn of(at: Site<'g>) -> Option<Self> {
        Some(Formula { patch: at.patch(), dtype: at.input_ty(0)?.dtype, result: at.output() })
    }

    /// The dtype of the values.
    pub(super) fn dtype(&self) -> DType {
        self.dtype
    }

    /// The term that the output is.
    pub(super) fn is(self, value: ValueId) -> Option<Patch<'g>> {
        Some(self.patch.replace(self.result, value))
    }

    /// A number.
    pub(super) fn number(&mut self, number: f64) -> ValueId {
        self.patch.constant("number", Tensor::scalar(self.dtype, number))
    }

    /// Any operator.
    pub(super) fn op(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        self.patch.add(op, inputs.iter().copied())
    }

    /// A function of one term.
    pub(super) fn unary(&mut self, function: Unary, x: ValueId) -> ValueId {
        self.op(function, &[x])
    }

    /// `a + b`
    pub(super) fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Arithmetic::Add, &[a, b])
    }

    /// `a − b`
    pub(super) fn sub(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Arithmetic::Sub, &[a, b])
    }

    /// `a · b`
    pub(super) fn mul(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Arithmetic::Mul, &[a, b])
    }

    /// `a / b`
    pub(super) fn div(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Arithmetic::Div, &[a, b])
    }

    /// `x + n`
    pub(super) fn plus(&mut self, x: ValueId, n: f64) -> ValueId {
        let n = self.number(n);
        self.add(x, n)
    }

    /// `x · n`; `x` itself where `n` is one.
    pub(super) fn times(&mut self, x: ValueId, n: f64) -> ValueId {
        if n == 1.0 {
            return x;
        }
        let n = self.number(n);
        self.mul(x, n)
    }

    /// `a` compared with `n`.
    pub(super) fn against(&mut self, compare: Compare, a: ValueId, n: f64) -> ValueId {
        let n = self.number(n);
        self.op(compare, &[a, n])
    }

    /// `x` where it is at most `most`, elsewhere that.
    pub(super) fn at_most(&mut self, x: ValueId, most: f64) -> ValueId {
        self.op(Clamp { min: None, max: Some(most) }, &[x])
    }

    /// `yes` where `condition` holds, elsewhere `no`.
    pub(super) fn choose(&mut self, condition: ValueId, yes: ValueId, no: ValueId) -> ValueId {
        self.op(Where {}, &[condition, yes, no])
    }

    /// `c₀ + c₁·x + c₂·x² + …`, by Horner's scheme.
    pub(super) fn polynomial(&mut self, x: ValueId, coefficients: &[f64]) -> ValueId {
        let mut rest = coefficients.iter().rev();
        let highest = rest.next().copied().unwrap_or(0.0);
        let mut sum = self.number(highest);
        for &c in rest {
            let product = self.mul(x, sum);
            sum = self.plus(product, c);
        }
        sum
    }
}
