//! Axes in runs of neighbours, each of which becomes one axis.

use std::ops::Range;

/// With which neighbours an axis may be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// With those of the same key.
    Alike(usize),
    /// With those that are as good as not there.
    Alone,
    /// With any: it has size 1 and nothing happens along it.
    Any,
}

impl Key {
    /// The key of an axis of this size along which nothing happens but what happens along its likes.
    pub(super) fn of(size: usize, key: usize) -> Self {
        if size == 1 { Key::Any } else { Key::Alike(key) }
    }

    /// The key of both axes as one.
    fn with(self, other: Key) -> Option<Key> {
        match (self, other) {
            (Key::Any, key) | (key, Key::Any) => Some(key),
            (Key::Alike(a), Key::Alike(b)) if a == b => Some(self),
            _ => None,
        }
    }
}

/// Runs of neighbouring axes, which hold all axes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Parts(Vec<Range<usize>>);

impl Parts {
    /// At most `most` parts: those that give the sizes `hint` where these fit, else as fine as they may be, merged
    /// from the front. `None` where there are no so few.
    pub(super) fn choose(sizes: &[usize], keys: &[Key], most: usize, hint: Option<&[usize]>) -> Option<Self> {
        let hinted = hint.filter(|h| h.len() <= most).and_then(|h| Parts::between(sizes, h));
        let fits = |parts: &Parts| {
            parts.0.iter().all(|part| {
                keys[part.clone()].iter().try_fold(Key::Any, |key, &other| key.with(other)).is_some()
            })
        };
        if let Some(parts) = hinted.filter(fits) {
            return Some(parts);
        }
        let mut parts: Vec<(Range<usize>, Key)> =
            keys.iter().enumerate().map(|(a, &k)| (a..a + 1, k)).collect();
        while parts.len() > most {
            let is_any = |pair: &[(Range<usize>, Key)]| pair.iter().any(|p| p.1 == Key::Any);
            let joins = |pair: &[(Range<usize>, Key)]| pair[0].1.with(pair[1].1).is_some();
            let at = parts
                .windows(2)
                .position(|pair| is_any(pair) && joins(pair))
                .or_else(|| parts.windows(2).position(joins))?;
            let (next, key) = parts.remove(at + 1);
            let key = parts[at].1.with(key)?;
            parts[at] = (parts[at].0.start..next.end, key);
        }
        Some(Parts(parts.into_iter().map(|(part, _)| part).collect()))
    }

    /// The parts of `sizes` that have these products. `None` where some axis would be split.
    fn between(sizes: &[usize], products: &[usize]) -> Option<Self> {
        if sizes.contains(&0) {
            return None;
        }
        let mut parts = Vec::new();
        let mut at = 0;
        for (i, &product) in products.iter().enumerate() {
            let start = at;
            let mut sum = 1usize;
            while at < sizes.len() && (sum < product || at == start) {
                sum = sum.checked_mul(sizes[at])?;
                at += 1;
            }
            // Ones belong to what is before them where what follows needs none.
            let rest = &products[i + 1..];
            while at < sizes.len() && sizes[at] == 1 && rest.first() != Some(&1) {
                at += 1;
            }
            if sum != product || at == start {
                return None;
            }
            parts.push(start..at);
        }
        (at == sizes.len()).then_some(Parts(parts))
    }

    /// The product of each part.
    pub(super) fn merge(&self, sizes: &[usize]) -> Vec<usize> {
        self.0.iter().map(|part| sizes[part.clone()].iter().product()).collect()
    }

    /// The part that holds an axis.
    pub(super) fn of(&self, axis: usize) -> usize {
        self.0.iter().position(|part| part.contains(&axis)).expect("the parts hold every axis")
    }

    /// Something of each part.
    pub(super) fn each<T>(&self, of: impl Fn(&Range<usize>) -> T) -> Vec<T> {
        self.0.iter().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_as_fine_as_they_may_be() {
        let alike = |n: usize| vec![Key::Alike(0); n];
        let sizes = [2, 3, 4, 5, 6];
        let parts =
            |keys: &[Key], most, hint| Parts::choose(&sizes, keys, most, hint).map(|p| p.merge(&sizes));
        assert_eq!(parts(&alike(5), 4, None), Some(vec![6, 4, 5, 6]));
        assert_eq!(parts(&alike(5), 4, Some(&[2, 12, 30])), Some(vec![2, 12, 30]));
        assert_eq!(parts(&alike(5), 4, Some(&[8, 90])), Some(vec![6, 4, 5, 6]));
        let keys = [Key::Alike(0), Key::Alone, Key::Alike(0), Key::Alike(0), Key::Alone];
        assert_eq!(parts(&keys, 4, None), Some(vec![2, 3, 20, 6]));
        assert_eq!(parts(&keys, 3, None), None);
    }

    #[test]
    fn ones_go_anywhere() {
        let sizes = [1, 3, 1, 5];
        let keys = [Key::Any, Key::Alone, Key::Any, Key::Alone];
        let parts = |most| Parts::choose(&sizes, &keys, most, None).map(|p| p.merge(&sizes));
        assert_eq!(parts(2), Some(vec![3, 5]));
        assert_eq!(parts(1), None);
        let hinted = Parts::choose(&sizes, &keys, 3, Some(&[3, 5])).map(|p| p.merge(&sizes));
        assert_eq!(hinted, Some(vec![3, 5]));
    }
}
