//! Named float64 tensors, read from `.safetensors` files.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, bail};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::{Kind, Tensor};

/// Tensors by name, like `Conv2D-7/x`.
#[derive(Debug, Default)]
pub struct Arrays(BTreeMap<String, Tensor>);

impl Arrays {
    /// Those of a file, with its metadata; float32 becomes float64.
    pub fn read(path: &Path) -> Result<(Self, HashMap<String, String>)> {
        let file = path.display();
        let bytes = std::fs::read(path).with_context(|| format!("{file} cannot be read"))?;
        let damaged = || format!("{file} is no .safetensors file");
        let (_, header) = SafeTensors::read_metadata(&bytes).with_context(damaged)?;
        let tensors = SafeTensors::deserialize(&bytes).with_context(damaged)?;
        let arrays = tensors.iter().map(|(name, view)| Ok((name.to_owned(), tensor(&view)?)));
        let arrays = arrays.collect::<Result<_>>().with_context(|| file.to_string())?;
        Ok((Self(arrays), header.metadata().clone().unwrap_or_default()))
    }

    /// Those whose name starts with `id/`, without it.
    pub fn within(&self, id: &str) -> Self {
        let prefix = format!("{id}/");
        let of_id = self.0.range(prefix.clone()..).map_while(|(name, tensor)| {
            Some((name.strip_prefix(&prefix)?.to_owned(), tensor.shallow_clone()))
        });
        Self(of_id.collect())
    }

    /// Adds `arrays` under `id/`.
    pub fn put(&mut self, id: &str, arrays: Self) {
        let named = arrays.0.into_iter().map(|(name, tensor)| (format!("{id}/{name}"), tensor));
        self.0.extend(named);
    }

    /// Adds one.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.0.insert(name.into(), tensor);
    }

    /// Adds `name0`, `name1`, ...
    pub fn insert_all(&mut self, name: &str, tensors: impl IntoIterator<Item = Tensor>) {
        for (i, tensor) in tensors.into_iter().enumerate() {
            self.insert(format!("{name}{i}"), tensor);
        }
    }

    /// The one of that name.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.0.get(name).with_context(|| format!("the array `{name}` is missing"))
    }

    /// `name0`, `name1`, ... as far as they go.
    pub fn get_all(&self, name: &str) -> Vec<&Tensor> {
        (0..).map_while(|i| self.0.get(&format!("{name}{i}"))).collect()
    }

    /// All of them by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        self.0.iter()
    }
}

fn tensor(view: &TensorView) -> Result<Tensor> {
    let shape: Vec<i64> = view.shape().iter().map(|&side| side as i64).collect();
    let kind = match view.dtype() {
        Dtype::F64 => Kind::Double,
        Dtype::F32 => Kind::Float,
        other => bail!("arrays are float64 or float32, not {other}"),
    };
    Ok(Tensor::from_data_size(view.data(), &shape, kind).to_kind(Kind::Double))
}

/// A tensor's values in row-major order.
pub fn values(tensor: &Tensor) -> Vec<f64> {
    let tensor = tensor.detach().to_kind(Kind::Double).contiguous();
    let mut values = vec![0.0; tensor.numel()];
    tensor.copy_data(&mut values, tensor.numel());
    values
}

/// The same in float32, as a batch has them.
pub fn singles(tensor: &Tensor) -> Vec<f32> {
    values(tensor).into_iter().map(|value| value as f32).collect()
}
