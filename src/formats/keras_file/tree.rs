//! Keras 3's weights: a folder for each layer or other part, named by its class and a count, and in
//! it `vars` with arrays that are numbered from 0.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::error::Fault;
use super::{LONGEST_NAME, Weight};
use crate::formats::hdf5::{File, Group};

/// The folder of variables.
const VARIABLES: &str = "vars";
/// The folder of the optimizer's state.
const OPTIMIZER: &str = "optimizer";
/// The deepest folder: a model in a model takes two.
const MAX_DEPTH: usize = 64;

/// All weights of the model, and the optimizer's state.
pub(super) fn read(file: &File, path: &Arc<Path>) -> Result<(Vec<Weight>, Vec<Weight>), Fault> {
    let mut walk = Walk { path, seen: HashSet::new(), found: Vec::new() };
    walk.group(&file.root()?, 0)?;
    let mut found = walk.found;
    found.sort_by(|a, b| by_path(&a.name, &b.name));
    let of_optimizer = |weight: &Weight| weight.name.split('/').next() == Some(OPTIMIZER);
    let (optimizer, weights) = found.into_iter().partition(of_optimizer);
    Ok((weights, optimizer))
}

struct Walk<'a> {
    path: &'a Arc<Path>,
    /// The groups so far. Two names for one group would make a small file endless.
    seen: HashSet<u64>,
    found: Vec<Weight>,
}

impl Walk<'_> {
    fn group(&mut self, group: &Group, depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return Err(Fault::damaged("its groups are nested too deep"));
        }
        if !self.seen.insert(group.id()) {
            return Err(Fault::damaged("two of its groups are the same one"));
        }
        let members = group.members()?;
        if group.name() == VARIABLES && !members.datasets.is_empty() {
            let owner = group.attributes()?.text("name")?;
            let owner = owner.filter(|name| name.len() <= LONGEST_NAME);
            self.found.extend(members.datasets.into_iter().map(|dataset| Weight {
                name: dataset.path().to_owned(),
                owner: owner.clone(),
                dataset,
                file: Arc::clone(self.path),
            }));
        }
        members.groups.iter().try_for_each(|inner| self.group(inner, depth + 1))
    }
}

/// The order of paths, folder by folder; numbers by their value.
fn by_path(a: &str, b: &str) -> Ordering {
    let number = |name: &str| name.parse::<u64>().ok();
    let folders = a.split('/').map(|name| (number(name), name));
    folders.cmp(b.split('/').map(|name| (number(name), name)))
}
