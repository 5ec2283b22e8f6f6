//! Tables as `inspect` prints them.

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
}
