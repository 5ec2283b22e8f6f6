//! Names of tensors, none of them twice: ai-edge-quantizer looks tensors up by name, and refuses a file that repeats one.

use indexmap::IndexMap;

use crate::dialect::tfl::TensorEntry;

/// What is known of a name.
struct Claim {
    /// The tensor that keeps it.
    tensor: usize,
    /// The number that was last put behind it.
    count: usize,
}

/// Leaves each name with the first tensor that has it, those of `before` coming before the others; the rest are called
/// `name_1`, `name_2`, … by numbers that give no tensor's name. Takes time linear in the tensors, whatever their names.
pub(super) fn set_apart(tensors: &mut [TensorEntry], before: Vec<usize>) {
    let mut claims: IndexMap<String, Claim> = IndexMap::with_capacity(tensors.len());
    for tensor in before.into_iter().chain(0..tensors.len()) {
        claims.entry(tensors[tensor].name.clone()).or_insert(Claim { tensor, count: 0 });
    }
    for (tensor, entry) in tensors.iter_mut().enumerate() {
        if claims[&entry.name].tensor != tensor {
            let name = numbered(&mut claims, &entry.name);
            claims.insert(name.clone(), Claim { tensor, count: 0 });
            entry.name = name;
        }
    }
}

/// The first of `name_1`, `name_2`, … that is not claimed, behind those that were looked at before.
fn numbered(claims: &mut IndexMap<String, Claim>, name: &str) -> String {
    loop {
        let claim = &mut claims[name];
        claim.count += 1;
        let candidate = format!("{name}_{}", claim.count);
        if !claims.contains_key(&candidate) {
            return candidate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str], before: &[usize]) -> Vec<String> {
        let entry = |name: &&str| TensorEntry { name: name.to_string(), ..TensorEntry::default() };
        let mut tensors: Vec<TensorEntry> = names.iter().map(entry).collect();
        set_apart(&mut tensors, before.to_vec());
        tensors.into_iter().map(|tensor| tensor.name).collect()
    }

    #[test]
    fn the_first_keeps_its_name() {
        assert_eq!(named(&["x", "w", "w", "b", "w"], &[]), ["x", "w", "w_1", "b", "w_2"]);
        assert_eq!(named(&["x", "w", "w", "b", "w"], &[4, 2]), ["x", "w_1", "w_2", "b", "w"]);
        assert_eq!(named(&["", ""], &[]), ["", "_1"]);
    }

    #[test]
    fn no_number_gives_a_name_that_is_there() {
        assert_eq!(named(&["w", "w", "w_1", "w_1", "w"], &[]), ["w", "w_2", "w_1", "w_1_1", "w_3"]);
    }

    /// Were each number sought from 1 on, these would take hours.
    #[test]
    fn a_hundred_thousand_equal_names_take_no_time() {
        let mut names = vec!["w"; 100_000];
        let own: Vec<String> = (1..=100_000).map(|i| format!("w_{i}")).collect();
        names.extend(own.iter().map(String::as_str));
        let named = named(&names, &[]);
        assert_eq!((&*named[1], &*named[99_999]), ("w_100001", "w_199999"));
        assert_eq!(named[100_000..], own);
    }
}
