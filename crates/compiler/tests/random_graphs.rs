//! Graphs drawn at random compute the same before and after every pass that moves axes about.
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use edgewright_compiler as compiler;

use compiler::ops::{
    Activation, Arithmetic, BatchMatmul, Binary, BroadcastTo, Cast, Concat, Conv2d, Flip, FullyConnected,
    Graph, Layout, Op, Order, Pad, Padding, Reduce, Reduction, Reshape, Slice, Softmax, Transpose, Unary,
};
use compiler::verify::fitted;
use compiler::{evaluate, passes};
use ir::{DType, Journal, Leaf, Operator, Origin, Origins, Stage, Tensor, TensorType, ValueId, validate};

struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % n.max(1)
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn tensor(&mut self, sizes: &[usize]) -> Tensor {
        let count: usize = sizes.iter().product();
        Tensor::from_f64s(DType::F32, sizes, (0..count).map(|_| self.below(4001) as f64 / 1000.0 - 2.0))
    }
}

struct Builder {
    draw: Draw,
    graph: Graph,
    values: Vec<ValueId>,
}

impl Builder {
    fn new(seed: u64) -> Self {
        let mut draw = Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678);
        let mut graph = Graph::new("drawn", Origins::new());
        let image =
            [draw.pick(&[1, 2]), draw.pick(&[1, 2, 4]), draw.pick(&[1, 2, 4, 6]), draw.pick(&[1, 3, 4])];
        let x = graph.add_input("x", TensorType::new(DType::F32, &image));
        let v = graph.add_input("v", TensorType::new(DType::F32, &[image[0], image[1]]));
        Builder { draw, graph, values: vec![x, v] }
    }

    fn sizes(&self, value: ValueId) -> Vec<usize> {
        self.graph.ty(value).sizes().unwrap()
    }

    fn add(&mut self, op: impl Into<Op>, inputs: &[ValueId]) {
        let origin = self.graph.origins.intern(Origin::Leaf(Leaf::default()));
        if let Ok(outputs) = self.graph.add_node(op.into(), inputs, "n", origin) {
            self.values.extend(outputs);
        }
    }

    fn constant(&mut self, sizes: &[usize]) -> ValueId {
        let tensor = self.draw.tensor(sizes);
        self.graph.add_constant("c", tensor)
    }

    fn grow(&mut self) {
        // Later values are drawn more often, so that graphs are deep.
        let from = self.draw.below(self.values.len());
        let at = from + self.draw.below(self.values.len() - from);
        let x = self.values[at];
        let sizes = self.sizes(x);
        let (rank, axis) = (sizes.len(), self.draw.below(sizes.len()));
        match self.draw.below(20) {
            0..3 => self.convolve(x, &sizes),
            3 => {
                let f = self.draw.pick(&[Unary::Relu, Unary::Neg, Unary::Tanh, Unary::Abs]);
                self.add(f, &[x]);
            }
            4 | 5 => {
                let y = self.draw.pick(&self.values.clone());
                let function = self.draw.pick(&[Arithmetic::Add, Arithmetic::Sub, Arithmetic::Mul]);
                self.add(Binary { function, activation: Activation::None }, &[x, y]);
            }
            6 => {
                let lead = self.draw.below(rank + 1);
                let own: Vec<usize> =
                    sizes[lead..].iter().map(|&s| if self.draw.below(2) == 0 { 1 } else { s }).collect();
                let c = self.constant(&own);
                let function = self.draw.pick(&[Arithmetic::Add, Arithmetic::Mul]);
                let operands = self.draw.pick(&[[x, c], [c, x]]);
                self.add(Binary { function, activation: Activation::None }, &operands);
            }
            7 | 8 => {
                let mut axes: Vec<usize> = (0..rank).collect();
                (0..rank).for_each(|i| axes.swap(i, i + self.draw.below(rank - i)));
                let order = self.draw.pick(&[
                    Order::channels_last(rank),
                    Order::channels_first(rank),
                    Order::new(axes).unwrap(),
                ]);
                self.add(Transpose { order }, &[x]);
            }
            9 | 10 => {
                let sizes = self.refactored(&sizes);
                self.add(Reshape { sizes }, &[x]);
            }
            11 => {
                let y = self.draw.pick(&self.values.clone());
                self.add(Concat { axis }, &[x, y]);
            }
            12 => {
                let start = self.draw.below(sizes[axis]);
                let len = 1 + self.draw.below(sizes[axis] - start);
                self.add(Slice::along(&sizes, axis, start, len), &[x]);
            }
            13 => {
                let function = self.draw.pick(&[Reduction::Mean, Reduction::Sum]);
                let axes: Vec<usize> = (0..rank).filter(|_| self.draw.below(2) == 0).collect();
                if !axes.is_empty() && axes.len() < rank {
                    let keep = self.draw.below(2) == 0;
                    self.add(Reduce { function, axes, keep }, &[x]);
                }
            }
            14 => {
                let op: Op = match self.draw.below(4) {
                    0 => Softmax { axis }.into(),
                    1 => Flip { axis }.into(),
                    2 => Cast { dtype: DType::F32 }.into(),
                    _ => BroadcastTo { sizes: sizes.iter().map(|&s| if s == 1 { 2 } else { s }).collect() }
                        .into(),
                };
                self.add(op, &[x]);
            }
            15 => {
                let last = sizes[rank - 1];
                let weight = self.constant(&[3, last]);
                self.add(FullyConnected { activation: Activation::None }, &[x, weight]);
            }
            16 => {
                let rest: usize = sizes[1..].iter().product();
                let weight = self.constant(&[2, rest]);
                self.add(Reshape { sizes: vec![sizes[0], rest] }, &[x]);
                let flat = self.values[self.values.len() - 1];
                self.add(FullyConnected { activation: Activation::None }, &[flat, weight]);
            }
            18 => {
                let x = self.values[self.values.len() - 1];
                let sizes = self.sizes(x);
                let axis = self.draw.below(sizes.len());
                let cut = self.draw.below(sizes[axis]);
                for (start, len) in [(0, cut), (cut, sizes[axis] - cut)] {
                    if len > 0 && len < sizes[axis] {
                        self.add(Slice::along(&sizes, axis, start, len), &[x]);
                    }
                }
            }
            17 => {
                let y = self.draw.pick(&self.values.clone());
                let (transpose_a, transpose_b) = (self.draw.below(2) == 0, self.draw.below(2) == 0);
                self.add(BatchMatmul { transpose_a, transpose_b }, &[x, y]);
            }
            _ => {
                let mut padding = vec![Padding::default(); rank];
                padding[axis] = Padding { before: self.draw.below(2), after: self.draw.below(2) };
                self.add(Pad::constant(padding, 0.0), &[x]);
            }
        }
    }

    fn convolve(&mut self, x: ValueId, sizes: &[usize]) {
        let &[_, channels, h, w] = sizes else { return };
        let kernel = self.draw.pick(&[1, 3]);
        let weight = [self.draw.pick(&[1, 2, 4]), channels, kernel.min(h), kernel.min(w)];
        let pad = |k: usize| Padding::both(k / 2);
        let op = Conv2d {
            stride: [1, 1],
            dilation: [1, 1],
            padding: [pad(weight[2]), pad(weight[3])],
            groups: 1,
            layout: Layout::Nchw,
            activation: Activation::None,
        };
        let weight = self.constant(&weight);
        self.add(op, &[x, weight]);
    }

    /// The sizes with neighbours merged, axes split, and ones put in or left out.
    fn refactored(&mut self, sizes: &[usize]) -> Vec<usize> {
        let mut result: Vec<usize> = Vec::new();
        for &size in sizes {
            match self.draw.below(5) {
                0 if !result.is_empty() => *result.last_mut().unwrap() *= size,
                1 if size % 2 == 0 => result.extend([2, size / 2]),
                2 if size == 1 => {}
                3 if result.len() < 4 => result.extend([1, size]),
                _ => result.push(size),
            }
        }
        if result.is_empty() { vec![1] } else { result }
    }

    fn finish(mut self) -> Graph {
        let read = |v: &ValueId| self.graph.use_count(*v) == 0 && self.graph.producer(*v).is_some();
        let mut outputs: Vec<ValueId> = self.values.iter().copied().filter(read).collect();
        outputs.truncate(4);
        if outputs.is_empty() {
            outputs.push(self.values[0]);
        }
        self.graph.set_outputs(outputs);
        self.graph.sweep();
        self.graph
    }
}

/// Runs passes on drawn graphs and compares every output.
fn check(seeds: std::ops::Range<u64>, io: Layout, most: Option<usize>) {
    for seed in seeds {
        let mut builder = Builder::new(seed);
        let steps = 4 + builder.draw.below(28);
        (0..steps).for_each(|_| builder.grow());
        let mut draw = Draw(seed);
        let before = builder.finish();
        let mut after = before.clone();
        let list = [
            passes::simplify::identities(),
            passes::layout::assign(io),
            passes::rank::at_most(most),
            passes::simplify::identities(),
            passes::dedupe::equals(),
        ];
        for pass in &list {
            pass.run(&mut after, &mut Journal::default())
                .unwrap_or_else(|d| panic!("seed {seed}, {}: {d:?}\n{}", pass.name, ir::print(&before)));
            validate(&after, Stage::Static)
                .unwrap_or_else(|d| panic!("seed {seed}, {}: {d:?}\n{}", pass.name, ir::print(&before)));
        }
        let inputs: Vec<Tensor> =
            before.inputs().iter().map(|&i| draw.tensor(&before.ty(i).sizes().unwrap())).collect();
        let given = inputs.iter().zip(after.inputs());
        let given: Vec<Tensor> = given.map(|(t, &i)| fitted(t, after.ty(i), io).unwrap()).collect();
        let expected = evaluate::run(&before, &inputs).unwrap();
        let found = evaluate::run(&after, &given)
            .unwrap_or_else(|d| panic!("seed {seed}: {d:?}\n{}\n{}", ir::print(&before), ir::print(&after)));
        for (e, f) in expected.iter().zip(&found) {
            let e = fitted(e, &f.ty(), io).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            let size = e.to_f64s().iter().fold(1e-3f64, |m, x| m.max(x.abs()));
            for (a, b) in e.to_f64s().into_iter().zip(f.to_f64s()) {
                assert!(
                    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-4 * size,
                    "seed {seed}: {a} became {b}\n{}\n{}",
                    ir::print(&before),
                    ir::print(&after)
                );
            }
        }
        let constant = after.constness();
        for (_, node) in after.nodes().filter(|(_, n)| !constant[n.outputs[0].index()]) {
            let layout = node.op.attributes().get("layout").map(ToString::to_string);
            assert_ne!(layout.as_deref(), Some("nchw"), "seed {seed}\n{}", ir::print(&after));
        }
    }
}

#[test]
fn layout_and_rank_keep_every_number() {
    check(0..1200, Layout::Nchw, Some(4));
}

#[test]
fn channels_last_at_the_signature_keeps_every_number() {
    check(1200..2400, Layout::Nhwc, None);
}

/// A deep network: convolutions, activations, sums over several stages, and reshapes that must be in order.
#[test]
fn a_graph_of_five_thousand_nodes_is_laid_out() {
    let mut builder = Builder::new(7);
    let x = builder.graph.add_input("image", TensorType::new(DType::F32, &[1, 4, 16, 16]));
    let mut last = x;
    let mut earlier = vec![x];
    while builder.values.len() < 5000 {
        builder.convolve(last, &[1, 4, 16, 16]);
        let made = *builder.values.last().unwrap();
        last = if builder.sizes(made) == [1, 4, 16, 16] { made } else { last };
        builder.add(Unary::Tanh, &[last]);
        let other = builder.draw.pick(&earlier);
        let add = Binary { function: Arithmetic::Add, activation: Activation::None };
        builder.add(add, &[*builder.values.last().unwrap(), other]);
        last = *builder.values.last().unwrap();
        if builder.draw.below(20) == 0 {
            builder.add(Reshape { sizes: vec![2, 512] }, &[last]);
            builder.add(Softmax { axis: 1 }, &[*builder.values.last().unwrap()]);
            builder.add(Reshape { sizes: vec![1, 4, 16, 16] }, &[*builder.values.last().unwrap()]);
            last = *builder.values.last().unwrap();
        }
        earlier.push(last);
    }
    let mut graph = builder.graph;
    graph.set_outputs(vec![last]);
    graph.sweep();
    assert!(graph.order().len() > 3000, "{} nodes", graph.order().len());
    let mut journal = Journal::default();
    let clock = std::time::Instant::now();
    passes::layout::assign(Layout::Nchw).run(&mut graph, &mut journal).unwrap();
    // Well under a second where the compiler is optimized; a debug build on a busy machine is given more.
    assert!(clock.elapsed().as_secs() < 30, "took {:?}", clock.elapsed());
    validate(&graph, Stage::Static).unwrap();
    assert!(!journal.decisions.is_empty());
}
