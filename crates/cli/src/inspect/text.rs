//! Tables, numbers and names as `inspect` prints them.

/// Rows of cells in columns as wide as their widest cell, each line after `indent` spaces. A column whose heading ends
/// in `>` stands to the right.
pub(super) fn table(indent: usize, heads: &[&str], rows: &[Vec<String>]) -> String {
    let right: Vec<bool> = heads.iter().map(|head| head.ends_with('>')).collect();
    let heads: Vec<String> = heads.iter().map(|head| head.trim_end_matches('>').to_string()).collect();
    let shown = heads.iter().any(|head| !head.is_empty());
    let all: Vec<&Vec<String>> = shown.then_some(&heads).into_iter().chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut out = String::new();
    for row in all {
        let cells = row.iter().zip(&widths).zip(&right).map(|((cell, &width), right)| match right {
            true => format!("{cell:>width$}"),
            false => format!("{cell:<width$}"),
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        out.push_str(format!("{:indent$}{line}", "").trim_end());
        out.push('\n');
    }
    out
}

/// Bytes as people read them: `812 B`, `20.1 kB`, `1.2 MB`.
pub(super) fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

/// A large count as people read it: `812`, `20.1 k`, `1.2 M`, `3.4 G`.
pub(super) fn count(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..1_000_000 => format!("{:.1} k", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", n as f64 / 1e6),
        _ => format!("{:.2} G", n as f64 / 1e9),
    }
}

/// `4: 120, 2: 3`, the largest key first.
pub(super) fn tally<K: std::fmt::Display>(counts: impl DoubleEndedIterator<Item = (K, usize)>) -> String {
    counts.rev().map(|(key, n)| format!("{key}: {n}")).collect::<Vec<_>>().join(", ")
}

/// `1 operator`, `2 operators`.
pub(super) fn plural(n: usize, word: &str) -> String {
    if n == 1 { format!("1 {word}") } else { format!("{n} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["ADD".to_string(), "12".into()], vec!["CONV_2D".into(), "3".into()]];
        assert_eq!(
            table(2, &["operator", "count>"], &rows),
            "  operator  count\n  ADD          12\n  CONV_2D       3\n"
        );
        assert_eq!(table(0, &["", ""], &rows[..1]), "ADD  12\n");
    }

    #[test]
    fn numbers_have_units() {
        assert_eq!([bytes(999), bytes(20_149), bytes(3_400_000_000)], ["999 B", "20.1 kB", "3.40 GB"]);
        assert_eq!([count(12), count(1_234_567)], ["12", "1.2 M"]);
        assert_eq!(tally([(1, 2), (4, 9)].into_iter()), "4: 9, 1: 2");
    }
}
