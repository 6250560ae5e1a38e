//! What PyTorch's wrappers of modules put into the names of a state dict. They compute what the module
//! inside computes, so that its names can be had back.

use std::collections::HashSet;

use super::Checkpoint;

/// A part between the dots of a name, and who puts it there. No layer of Keras's has such a name.
const WRAPPERS: [(&str, &str); 4] = [
    ("module", "DataParallel, DistributedDataParallel or AveragedModel"),
    ("_orig_mod", "torch.compile"),
    ("_fsdp_wrapped_module", "FullyShardedDataParallel"),
    ("_checkpoint_wrapped_module", "checkpoint_wrapper"),
];

impl Checkpoint {
    /// Takes the wrappers' parts out of all names, and says which there were; nothing where two
    /// tensors would get one name.
    pub fn unwrap_names(&mut self) -> Option<String> {
        let parts = |name: &str| name.split('.').map(str::to_owned).collect::<Vec<_>>();
        let wraps = |part: &String| WRAPPERS.iter().any(|(known, _)| part == known);
        let inside = |(name, _): &(String, _)| {
            parts(name).into_iter().filter(|part| !wraps(part)).collect::<Vec<_>>().join(".")
        };
        let names: Vec<String> = self.tensors.iter().map(inside).collect();
        let has = |known: &str| {
            self.tensors.iter().any(|(name, _)| name.split('.').any(|part| part == known))
        };
        let found = WRAPPERS.iter().filter(|(known, _)| has(known));
        let told: Vec<String> = found.map(|(known, who)| format!("`{known}.` ({who})")).collect();
        let distinct = names.iter().collect::<HashSet<_>>().len() == names.len();
        if told.is_empty() || !distinct {
            return None;
        }
        for ((name, _), inside) in self.tensors.iter_mut().zip(names) {
            *name = inside;
        }
        Some(told.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::formats::checkpoint::Array;

    fn named(names: &[&str]) -> Checkpoint {
        let array = Array::from_values(&[1], &[1.0_f32]).unwrap();
        let tensors = names.iter().map(|&name| (name.to_owned(), array.clone())).collect();
        Checkpoint { tensors, records: BTreeMap::new() }
    }

    fn names(checkpoint: &Checkpoint) -> Vec<&str> {
        checkpoint.tensors.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn the_parts_go_wherever_they_stand_and_their_owners_are_named() {
        let mut all =
            named(&["module._orig_mod.encoder.a.weight", "module.decoder._orig_mod.b.bias"]);
        let told = all.unwrap_names().unwrap();
        assert_eq!(names(&all), ["encoder.a.weight", "decoder.b.bias"]);
        assert!(told.starts_with("`module.` (DataParallel, "), "{told}");
        assert!(told.ends_with(" and `_orig_mod.` (torch.compile)"), "{told}");
    }

    #[test]
    fn names_that_only_look_alike_stay_and_so_do_those_that_would_meet() {
        for kept in [&["encoder.a.weight", "modules.b", "my_module.c"][..], &["module.a", "a"]] {
            let mut all = named(kept);
            assert_eq!(all.unwrap_names(), None);
            assert_eq!(names(&all), kept);
        }
    }
}
