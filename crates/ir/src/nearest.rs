//! The word that was probably meant.

/// The word among `words` that `word` was probably meant to be: the one with the fewest letters to change, or else the only
/// one that begins with it.
pub fn nearest<'w>(word: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let words: Vec<&str> = words.into_iter().collect();
    let distances = words.iter().map(|known| (distance(word, known), *known));
    let (letters, near) = distances.min_by_key(|(letters, _)| *letters)?;
    if letters <= 1 + word.chars().count() / 4 {
        return Some(near);
    }
    let longer: Vec<&str> =
        words.into_iter().filter(|known| word.chars().count() > 2 && known.starts_with(word)).collect();
    match longer[..] {
        [one] => Some(one),
        _ => None,
    }
}

/// How many letters must be added, dropped or changed to make one word the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_by_its_letters_or_by_its_beginning() {
        assert_eq!(nearest("BATCH_MATMULL", ["ADD", "BATCH_MATMUL"]), Some("BATCH_MATMUL"));
        assert_eq!(nearest("CONV", ["ADD", "BATCH_MATMUL"]), None);
        assert_eq!(nearest("unpinned", ["unknown-recipe", "unpinned-size"]), Some("unpinned-size"));
        assert_eq!(nearest("unread", ["unreadable-profile", "unreadable-recipe"]), None);
        assert_eq!(nearest("ADD", []), None);
    }
}
