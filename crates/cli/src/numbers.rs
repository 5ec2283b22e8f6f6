//! Numbers and counts as people read them.

/// Bytes as people read them: `812 B`, `20.1 kB`, `1.2 MB`.
pub(crate) fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

/// A large count as people read it: `812`, `20.1 k`, `1.2 M`, `3.4 G`.
pub(crate) fn count(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{:.1} k", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", n as f64 / 1e6),
        _ => format!("{:.2} G", n as f64 / 1e9),
    }
}

/// `4: 120, 2: 3`, the largest key first.
pub(crate) fn tally<K: std::fmt::Display>(counts: impl DoubleEndedIterator<Item = (K, usize)>) -> String {
    counts.rev().map(|(key, n)| format!("{key}: {n}")).collect::<Vec<_>>().join(", ")
}

/// `1 operator`, `2 operators`.
pub(crate) fn plural(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        assert_eq!([bytes(999), bytes(20_149), bytes(3_400_000_000)], ["999 B", "20.1 kB", "3.40 GB"]);
        assert_eq!([count(12), count(1_234_567)], ["12", "1.2 M"]);
        assert_eq!(tally([(1, 2), (4, 9)].into_iter()), "4: 9, 1: 2");
    }

    #[test]
    fn one_is_one() {
        assert_eq!([plural(1, "operator"), plural(2, "operator")], ["1 operator", "2 operators"]);
    }
}
