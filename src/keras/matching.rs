//! Which of a file's weights belong to which layer: by the names that the file gives its layers, else by order
//! and shape.

use std::collections::{HashMap, HashSet};

use super::graph::Place;
use super::json::plain;
use crate::formats::keras_file::{LayerWeights, Weight, Weights};

/// Names of the lists of layers in a tree of weights, which say nothing of the layer.
const LISTS: [&str; 2] = ["layers", "_layer_checkpoint_dependencies"];

/// A layer that needs weights.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Where it stands in the file's model.
    pub place: Vec<Place<'a>>,
    /// Its weights in Keras's order.
    pub weights: Vec<OneWanted>,
}

/// A weight that is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneWanted {
    /// Keras's name: `kernel`.
    pub name: &'static str,
    /// Keras's layout.
    pub shape: Vec<usize>,
    /// Whether the optimizer changes it.
    pub trainable: bool,
}

impl Wanted<'_> {
    fn name(&self) -> &str {
        self.place.last().map_or("", |place| place.name)
    }

    fn fits(&self, found: &[&Weight]) -> bool {
        found.len() == self.weights.len()
            && self.weights.iter().zip(found).all(|(wanted, found)| wanted.fits(found))
    }

    fn misfit(&self, found: &[&Weight]) -> String {
        let name = plain(self.name());
        if let Some((wanted, found)) =
            self.weights.iter().zip(found).find(|(wanted, found)| !wanted.fits(found))
        {
            return format!(
                "the layer {name} has a {} of {}, and the file's `{}` is {}",
                wanted.name,
                sides(&wanted.shape),
                plain(&found.name),
                sides(found.shape())
            );
        }
        let wanted: Vec<&str> = self.weights.iter().map(|wanted| wanted.name).collect();
        format!(
            "the layer {name} has {} weights ({}), and the file has {} for it",
            wanted.len(),
            wanted.join(", "),
            found.len()
        )
    }
}

impl OneWanted {
    /// By its shape, and by its name where the file says one that is known.
    fn fits(&self, found: &Weight) -> bool {
        let is_other = |kind| kind_of(self.name) != Some(kind);
        found.shape() == self.shape && !kind_of(&found.name).is_some_and(is_other)
    }
}

/// Keras's name of a weight in the words of every Keras: `conv_1/kernel:0`, `convolution2d_1_W`.
fn kind_of(name: &str) -> Option<&'static str> {
    let last = name.rsplit('/').next().unwrap_or(name);
    let last = last.split(':').next().unwrap_or(last);
    let known = [
        ("kernel", "kernel"),
        ("bias", "bias"),
        ("gamma", "gamma"),
        ("beta", "beta"),
        ("moving_mean", "moving_mean"),
        ("moving_variance", "moving_variance"),
        ("running_mean", "moving_mean"),
        ("running_std", "moving_variance"),
        ("W", "kernel"),
        ("b", "bias"),
    ];
    let is =
        |end: &str| last == end || last.strip_suffix(end).is_some_and(|stem| stem.ends_with('_'));
    known.iter().find(|(end, _)| is(end)).map(|(_, kind)| *kind)
}

fn sides(shape: &[usize]) -> String {
    match shape {
        [] => "a single number".to_owned(),
        _ => shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x"),
    }
}

/// Weights, each with the layer that wants it.
#[derive(Debug)]
pub struct Matched<'f> {
    /// Of each layer.
    pub groups: Vec<Vec<&'f Weight>>,
    /// Whether names decided, not order and shape.
    pub by_name: bool,
    /// The file's layers whose weights no layer wants.
    pub left: Vec<String>,
}

/// Finds the weights of all layers that want some, which stand in the order of the file's model.
///
/// # Errors
/// Names the first layer whose weights are not found, and what was.
pub fn matched<'f>(file: &'f Weights, wanted: &[Wanted]) -> Result<Matched<'f>, String> {
    let by_name = match file {
        Weights::Layered(layers) => by_layers(layers, wanted),
        Weights::Tree(weights) => by_tree(weights, wanted),
        Weights::None => {
            return Err("it holds no weights; name their file with --weights FILE".to_owned());
        }
    };
    let (groups, by_name) = match by_name {
        Ok(found) => (found, true),
        Err(problem) => (by_order(file, wanted).ok_or(problem)?, false),
    };
    let left = left(file, &groups);
    Ok(Matched { groups, by_name, left })
}

/// Layers of the file with weights of which none was taken; those of random numbers are no weights.
fn left(file: &Weights, groups: &[Vec<&Weight>]) -> Vec<String> {
    let taken: HashSet<*const Weight> =
        groups.iter().flatten().map(|weight| std::ptr::from_ref(*weight)).collect();
    let is_left = |weight: &&Weight| {
        !taken.contains(&std::ptr::from_ref(*weight)) && !weight.name.contains("seed_generator")
    };
    let mut names: Vec<String> = match file {
        Weights::Layered(layers) => (layers.iter())
            .filter(|layer| layer.weights.iter().any(|weight| is_left(&weight)))
            .map(|layer| plain(&layer.name))
            .collect(),
        Weights::Tree(weights) => (weights.iter().filter(is_left))
            .map(|weight| plain(weight.owner.as_deref().unwrap_or_else(|| path_of(weight))))
            .collect(),
        Weights::None => Vec::new(),
    };
    names.dedup();
    names
}

/// `layers/conv2d/vars/0` is of `layers/conv2d`.
fn path_of(weight: &Weight) -> &str {
    weight.name.rsplit_once("/vars/").map_or(&weight.name, |(path, _)| path)
}

/// How many weights a file has for a layer, or for what that is made of; the state of its random numbers is none.
pub fn held(file: &Weights, place: &[Place]) -> usize {
    let is_weight = |weight: &&Weight| !weight.name.contains("seed_generator");
    let name = place.last().map_or("", |place| place.name);
    match file {
        Weights::Layered(layers) => {
            let top = place.first().map_or("", |place| place.name);
            let group = layers.iter().filter(|layer| layer.name == top);
            let own = |weight: &&Weight| {
                place.len() == 1 || weight.name.split('/').any(|part| part == name)
            };
            group.flat_map(|layer| &layer.weights).filter(is_weight).filter(own).count()
        }
        Weights::Tree(weights) => {
            let groups = place.iter().map(|place| place.group.as_str());
            let is_within = |weight: &&Weight| {
                let parts = weight.name.split('/').filter(|part| !LISTS.contains(part));
                let found: Vec<&str> = parts.take(place.len()).collect();
                groups.clone().eq(found)
            };
            weights.iter().filter(is_weight).filter(is_within).count()
        }
        Weights::None => 0,
    }
}

fn by_layers<'f>(
    layers: &'f [LayerWeights],
    wanted: &[Wanted],
) -> Result<Vec<Vec<&'f Weight>>, String> {
    let groups: HashMap<&str, &LayerWeights> =
        layers.iter().map(|layer| (layer.name.as_str(), layer)).collect();
    let mut found: Vec<Vec<&Weight>> = vec![Vec::new(); wanted.len()];
    let mut start = 0;
    while start < wanted.len() {
        let top = wanted[start].place.first().map_or("", |place| place.name);
        let same = |one: &&Wanted| one.place.first().is_some_and(|place| place.name == top);
        let end = start + wanted[start..].iter().take_while(same).count().max(1);
        let group = groups.get(top).ok_or_else(|| {
            format!("there are no weights for the layer {}", plain(wanted[start].name()))
        })?;
        let held: Vec<&Weight> = group.weights.iter().collect();
        found[start..end].clone_from_slice(&within(&held, &wanted[start..end])?);
        start = end;
    }
    Ok(found)
}

/// The weights of one layer, or of the layers of an inner model, which stand in one row: by the names of the layers
/// in theirs; where these say nothing, as Keras 2 has them, those that are trained first; or layer by layer.
fn within<'f>(held: &[&'f Weight], wanted: &[Wanted]) -> Result<Vec<Vec<&'f Weight>>, String> {
    match within_by_name(held, wanted) {
        // A frozen layer's weights stand behind all others, so names go before any order.
        Ok(found) if found.iter().map(Vec::len).sum::<usize>() == held.len() => Ok(found),
        by_name => within_by_order(held, wanted).map_or(by_name, Ok),
    }
}

fn within_by_name<'f>(
    held: &[&'f Weight],
    wanted: &[Wanted],
) -> Result<Vec<Vec<&'f Weight>>, String> {
    let mut named: HashMap<&str, Vec<&Weight>> = HashMap::new();
    for weight in held {
        named.entry(layer_of(&weight.name)).or_default().push(weight);
    }
    let nothing = Vec::new();
    let one = |one: &Wanted| {
        let found =
            if wanted.len() == 1 { held } else { named.get(one.name()).unwrap_or(&nothing) };
        if one.fits(found) { Ok(found.to_vec()) } else { Err(one.misfit(found)) }
    };
    wanted.iter().map(one).collect()
}

fn within_by_order<'f>(held: &[&'f Weight], wanted: &[Wanted]) -> Option<Vec<Vec<&'f Weight>>> {
    let all = || {
        wanted
            .iter()
            .enumerate()
            .flat_map(|(layer, one)| one.weights.iter().map(move |weight| (layer, weight)))
    };
    let trained_first =
        all().filter(|(_, one)| one.trainable).chain(all().filter(|(_, one)| !one.trainable));
    let orders: [Vec<(usize, &OneWanted)>; 2] = [trained_first.collect(), all().collect()];
    let fits = |order: &&Vec<(usize, &OneWanted)>| {
        order.len() == held.len() && order.iter().zip(held).all(|((_, one), held)| one.fits(held))
    };
    let order = orders.iter().find(fits)?;
    let mut found = vec![Vec::new(); wanted.len()];
    for ((layer, _), held) in order.iter().zip(held) {
        found[*layer].push(*held);
    }
    Some(found)
}

/// `encoder/conv_1/kernel:0` is of `conv_1`.
fn layer_of(name: &str) -> &str {
    name.rsplit('/').nth(1).unwrap_or("")
}

fn by_tree<'f>(weights: &'f [Weight], wanted: &[Wanted]) -> Result<Vec<Vec<&'f Weight>>, String> {
    let mut groups: HashMap<String, Vec<&Weight>> = HashMap::new();
    let mut owners: HashMap<&str, Vec<&Weight>> = HashMap::new();
    for weight in weights {
        let parts: Vec<&str> =
            path_of(weight).split('/').filter(|part| !LISTS.contains(part)).collect();
        groups.entry(parts.join("/")).or_default().push(weight);
        if let Some(owner) = weight.owner.as_deref() {
            owners.entry(owner).or_default().push(weight);
        }
    }
    let nothing = Vec::new();
    let one = |one: &Wanted| {
        let path: Vec<&str> = one.place.iter().map(|place| place.group.as_str()).collect();
        let by_path = groups.get(&path.join("/")).unwrap_or(&nothing);
        let is_own = |found: &[&Weight]| {
            found
                .iter()
                .all(|weight| weight.owner.as_deref().is_none_or(|owner| owner == one.name()))
        };
        if one.fits(by_path) && is_own(by_path) {
            return Ok(by_path.clone());
        }
        let by_owner = owners.get(one.name()).unwrap_or(&nothing);
        if one.fits(by_owner) { Ok(by_owner.clone()) } else { Err(one.misfit(by_path)) }
    };
    wanted.iter().map(one).collect()
}

/// As many layers with weights as there are wanted, each of the right shapes.
fn by_order<'f>(file: &'f Weights, wanted: &[Wanted]) -> Option<Vec<Vec<&'f Weight>>> {
    let Weights::Layered(layers) = file else { return None };
    let groups: Vec<Vec<&Weight>> = (layers.iter())
        .map(|layer| layer.weights.iter().collect::<Vec<_>>())
        .filter(|weights| !weights.is_empty())
        .collect();
    let fits = groups.len() == wanted.len()
        && wanted.iter().zip(&groups).all(|(one, group)| one.fits(group));
    fits.then_some(groups)
}
