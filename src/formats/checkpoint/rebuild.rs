//! The few Python objects that make up a state_dict, and the few calls that build them.
//! This is the allow-list: whatever is not named here is refused by name, and no code ever runs.

use std::rc::Rc;

use super::array::DType;
use super::error::{Fault, shown};
use super::pickle::storage_type;
use super::strided::{Storage, Strided};

/// An object's place in the [`Heap`]. Children are places, not boxes, so that deep nesting in a
/// hostile file costs no recursion, neither in use nor when dropped.
pub(super) type Id = usize;

/// What a pickle instruction builds.
pub(super) enum Object {
    None,
    Bool,
    Int(i64),
    Float,
    Text(Rc<str>),
    Tuple(Vec<Id>),
    /// Nothing of a state_dict is in a list, so what it holds is dropped.
    List,
    /// Keys and values.
    Dict(Vec<[Id; 2]>),
    Class(Class),
    Storage(Storage),
    Tensor(Tensor),
}

/// A tensor as the pickle describes it, unchecked: a window into a storage. It holds places only, so
/// that a hostile pickle cannot have one long shape copied again and again.
#[derive(Clone, Copy)]
pub(super) struct Tensor {
    storage: Id,
    offset: Id,
    shape: Id,
    strides: Id,
}

/// The globals that a state_dict may name.
#[derive(Clone, Copy)]
pub(super) enum Class {
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    Storage(DType),
}

impl Class {
    /// Looks a global up in the allow-list.
    pub(super) fn find(module: &str, name: &str) -> Result<Self, Fault> {
        match (module, name) {
            ("collections", "OrderedDict") => Ok(Self::OrderedDict),
            ("torch._utils", "_rebuild_tensor_v2") => Ok(Self::RebuildTensor),
            ("torch._utils", "_rebuild_parameter") => Ok(Self::RebuildParameter),
            ("torch", storage) if storage.ends_with("Storage") => DType::ALL
                .into_iter()
                .find(|&dtype| storage_type(dtype) == storage)
                .map(Self::Storage)
                .ok_or_else(|| Fault::Elements(shown(&format!("torch.{storage}")))),
            _ => Err(Fault::Global(shown(&format!("{module}.{name}")))),
        }
    }
}

impl Object {
    /// What a Python user would call it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool => "a bool",
            Self::Int(_) => "an int",
            Self::Float => "a float",
            Self::Text(_) => "a string",
            Self::Tuple(_) => "a tuple",
            Self::List => "a list",
            Self::Dict(_) => "a dict",
            Self::Class(_) => "a class",
            Self::Storage(_) => "a bare storage",
            Self::Tensor(_) => "a tensor",
        }
    }
}

/// All objects that one pickle has built.
#[derive(Default)]
pub(super) struct Heap(pub(super) Vec<Object>);

impl Heap {
    /// What REDUCE makes of `class(*arguments)`.
    pub(super) fn call(&self, class: Id, arguments: Id) -> Result<Object, Fault> {
        match (&self.0[class], self.tuple(arguments)?) {
            (Object::Class(Class::OrderedDict), []) => Ok(Object::Dict(Vec::new())),
            // The last two are requires_grad and backward_hooks.
            (Object::Class(Class::RebuildTensor), &[storage, offset, shape, strides, _, _]) => {
                let tensor = Tensor { storage, offset, shape, strides };
                Ok(Object::Tensor(tensor))
            }
            // A seventh marks a lazy view, whose elements are not as they are stored.
            (Object::Class(Class::RebuildTensor), &[_, _, _, _, _, _, _]) => {
                Err(Fault::Elements("a lazy conjugate or negation".to_owned()))
            }
            // data, requires_grad, backward_hooks
            (Object::Class(Class::RebuildParameter), &[data, _, _]) => match self.0[data] {
                Object::Tensor(tensor) => Ok(Object::Tensor(tensor)),
                _ => Err(unlike_torch("a parameter without a tensor")),
            },
            _ => Err(unlike_torch("a call")),
        }
    }

    /// What BINPERSID makes of `('storage', type, key, location, element count)`. The location,
    /// such as `cuda:0`, says where the tensor lived; the bytes in the file are the same.
    pub(super) fn storage(&self, id: Id) -> Result<Object, Fault> {
        if let &[tag, class, key, _, len] = self.tuple(id)?
            && let (Object::Text(tag), Object::Text(key)) = (&self.0[tag], &self.0[key])
            && let Object::Class(Class::Storage(dtype)) = self.0[class]
            && **tag == *"storage"
        {
            let (key, len) = (Rc::clone(key), self.size(len)?);
            return Ok(Object::Storage(Storage { key, dtype, len }));
        }
        Err(unlike_torch("a persistent id"))
    }

    /// Checks a tensor's description, once its elements are wanted.
    pub(super) fn window(&self, tensor: Tensor) -> Result<Strided, Fault> {
        let Object::Storage(storage) = &self.0[tensor.storage] else {
            return Err(unlike_torch("a tensor without a storage"));
        };
        Strided::new(
            storage.clone(),
            self.size(tensor.offset)?,
            self.sizes(tensor.shape)?,
            self.sizes(tensor.strides)?,
        )
    }

    fn tuple(&self, id: Id) -> Result<&[Id], Fault> {
        match &self.0[id] {
            Object::Tuple(items) => Ok(items),
            _ => Err(unlike_torch("something other than a tuple")),
        }
    }

    fn sizes(&self, id: Id) -> Result<Vec<usize>, Fault> {
        let items = self.tuple(id)?.iter();
        items.map(|&item| self.size(item)).collect()
    }

    fn size(&self, id: Id) -> Result<usize, Fault> {
        let size = match self.0[id] {
            Object::Int(value) => usize::try_from(value).ok(),
            _ => None,
        };
        size.ok_or_else(|| unlike_torch("something other than a size"))
    }
}

/// A pickle that is well-formed, yet says what `torch.save` never says.
fn unlike_torch(found: &str) -> Fault {
    Fault::damaged(format!("its pickle has {found} where torch.save writes none"))
}
