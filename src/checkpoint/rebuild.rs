//! The few Python objects that make up a state_dict, and the few calls that build them.
//! This is the allow-list: whatever is not named here is refused by name, and no code ever runs.

use std::rc::Rc;

use super::array::DType;
use super::error::{Fault, shown};
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
    Dict(Vec<(Id, Id)>),
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
#[derive(Clone, Copy, PartialEq, Eq)]
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
            ("torch", "FloatStorage") => Ok(Self::Storage(DType::F32)),
            ("torch", "DoubleStorage") => Ok(Self::Storage(DType::F64)),
            ("torch", "LongStorage") => Ok(Self::Storage(DType::I64)),
            ("torch", other) if other.ends_with("Storage") => {
                Err(Fault::Elements(shown(&format!("torch.{other}"))))
            }
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
pub(super) struct Heap(Vec<Object>);

impl Heap {
    pub(super) fn add(&mut self, object: Object) -> Id {
        self.0.push(object);
        self.0.len() - 1
    }

    pub(super) fn get(&self, id: Id) -> &Object {
        &self.0[id]
    }

    pub(super) fn get_mut(&mut self, id: Id) -> &mut Object {
        &mut self.0[id]
    }

    /// What REDUCE makes of `class(*arguments)`.
    pub(super) fn call(&self, class: Id, arguments: Id) -> Result<Object, Fault> {
        match (self.get(class), self.tuple(arguments)?) {
            (Object::Class(Class::OrderedDict), []) => Ok(Object::Dict(Vec::new())),
            // The last two are requires_grad and backward_hooks. A seventh would mark a lazy
            // conjugate or negation, whose elements are not as stored.
            (Object::Class(Class::RebuildTensor), &[storage, offset, shape, strides, _, _]) => {
                Ok(Object::Tensor(Tensor { storage, offset, shape, strides }))
            }
            // data, requires_grad, backward_hooks
            (Object::Class(Class::RebuildParameter), &[data, _, _]) => match self.get(data) {
                &Object::Tensor(tensor) => Ok(Object::Tensor(tensor)),
                _ => Err(unlike_torch("a parameter without a tensor")),
            },
            _ => Err(unlike_torch("a call")),
        }
    }

    /// What BINPERSID makes of `('storage', type, key, location, element count)`. The location,
    /// such as `cuda:0`, says where the tensor lived; the bytes in the file are the same.
    pub(super) fn storage(&self, id: Id) -> Result<Object, Fault> {
        if let &[tag, class, key, _, len] = self.tuple(id)?
            && let (Object::Text(tag), Object::Text(key)) = (self.get(tag), self.get(key))
            && let &Object::Class(Class::Storage(dtype)) = self.get(class)
            && **tag == *"storage"
        {
            return Ok(Object::Storage(Storage {
                key: Rc::clone(key),
                dtype,
                len: self.size(len)?,
            }));
        }
        Err(unlike_torch("a persistent id"))
    }

    /// Checks a tensor's description, once its elements are wanted.
    pub(super) fn window(&self, tensor: Tensor) -> Result<Strided, Fault> {
        let Object::Storage(storage) = self.get(tensor.storage) else {
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
        match self.get(id) {
            Object::Tuple(items) => Ok(items),
            _ => Err(unlike_torch("something other than a tuple")),
        }
    }

    fn sizes(&self, id: Id) -> Result<Vec<usize>, Fault> {
        self.tuple(id)?.iter().map(|&item| self.size(item)).collect()
    }

    fn size(&self, id: Id) -> Result<usize, Fault> {
        match self.get(id) {
            &Object::Int(value) => usize::try_from(value).ok(),
            _ => None,
        }
        .ok_or_else(|| unlike_torch("something other than a size"))
    }
}

/// A pickle that is well-formed, yet says what `torch.save` never says.
fn unlike_torch(found: &str) -> Fault {
    Fault::damaged(format!("its pickle has {found} where torch.save writes none"))
}
