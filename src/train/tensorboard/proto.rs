//! TensorBoard's messages, as far as we write them: `event.proto`, `summary.proto` and `tensor.proto`
//! of TensorFlow, with the same numbers of fields. Declared by hand, so that no `protoc` is needed.

/// TensorFlow's numbers for types.
const DT_FLOAT: i32 = 1;
const DT_DOUBLE: i32 = 2;
const DT_STRING: i32 = 7;
/// What kind of data a plugin shows.
const SCALAR: i32 = 1;
const TENSOR: i32 = 2;
const BLOB_SEQUENCE: i32 = 3;
/// Where a PNG file says how wide and how high its image is.
const PNG_SIZE: std::ops::Range<usize> = 16..24;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub(super) wall_time: f64,
    #[prost(int64, tag = "2")]
    pub(super) step: i64,
    /// Of the first event of a file.
    #[prost(string, optional, tag = "3")]
    pub(super) file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub(super) summary: Option<Summary>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(super) value: Vec<Value>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Value {
    #[prost(string, tag = "1")]
    pub(super) tag: String,
    #[prost(message, optional, tag = "8")]
    pub(super) tensor: Option<TensorProto>,
    #[prost(message, optional, tag = "9")]
    pub(super) metadata: Option<SummaryMetadata>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SummaryMetadata {
    #[prost(message, optional, tag = "1")]
    pub(super) plugin_data: Option<PluginData>,
    #[prost(int32, tag = "4")]
    pub(super) data_class: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct PluginData {
    #[prost(string, tag = "1")]
    pub(super) plugin_name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorProto {
    #[prost(int32, tag = "1")]
    pub(super) dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) tensor_shape: Option<TensorShape>,
    #[prost(float, repeated, tag = "5")]
    pub(super) float_val: Vec<f32>,
    #[prost(double, repeated, tag = "6")]
    pub(super) double_val: Vec<f64>,
    #[prost(bytes = "vec", repeated, tag = "8")]
    pub(super) string_val: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorShape {
    #[prost(message, repeated, tag = "2")]
    pub(super) dim: Vec<Dim>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Dim {
    #[prost(int64, tag = "1")]
    pub(super) size: i64,
}

impl Value {
    /// A number; TensorBoard keeps float32 of it.
    pub(super) fn scalar(tag: &str, number: f64) -> Self {
        let tensor = TensorProto {
            dtype: DT_FLOAT,
            tensor_shape: Some(shape(&[])),
            float_val: vec![number as f32],
            ..TensorProto::default()
        };
        Self::of(tag, "scalars", SCALAR, tensor)
    }

    /// A PNG file; `None` where the bytes are none.
    pub(super) fn image(tag: &str, png: Vec<u8>) -> Option<Self> {
        let side = |bytes: &[u8]| Some(u32::from_be_bytes(bytes.try_into().ok()?).to_string());
        let (width, height) = png.get(PNG_SIZE)?.split_at(4);
        let strings = vec![side(width)?.into_bytes(), side(height)?.into_bytes(), png];
        let tensor = TensorProto {
            dtype: DT_STRING,
            tensor_shape: Some(shape(&[strings.len()])),
            string_val: strings,
            ..TensorProto::default()
        };
        Some(Self::of(tag, "images", BLOB_SEQUENCE, tensor))
    }

    /// Bins of left end, right end and count.
    pub(super) fn histogram(tag: &str, bins: &[[f64; 3]]) -> Self {
        let tensor = TensorProto {
            dtype: DT_DOUBLE,
            tensor_shape: Some(shape(&[bins.len(), 3])),
            double_val: bins.concat(),
            ..TensorProto::default()
        };
        Self::of(tag, "histograms", TENSOR, tensor)
    }

    fn of(tag: &str, plugin: &str, data_class: i32, tensor: TensorProto) -> Self {
        let plugin_data = Some(PluginData { plugin_name: plugin.to_owned() });
        let metadata = Some(SummaryMetadata { plugin_data, data_class });
        Self { tag: tag.to_owned(), tensor: Some(tensor), metadata }
    }
}

fn shape(sides: &[usize]) -> TensorShape {
    TensorShape { dim: sides.iter().map(|&side| Dim { size: side as i64 }).collect() }
}
