//! Images to a TIFF, a page for each.

use std::io::{Seek, Write};

use tiff::TiffError;
use tiff::encoder::colortype::{ColorType, Gray8, Gray16, Gray32Float, RGB8, RGB16, RGB32Float};
use tiff::encoder::{
    ImageEncoder, Rational, TiffEncoder, TiffKind, TiffKindBig, TiffKindStandard, TiffValue,
};
use tiff::tags::{ResolutionUnit, Tag};

use crate::formats::image_file::metadata::{Density, Unit};
use crate::formats::image_file::{ImageFile, ImageProblem, Samples};

/// Bytes of values from which a file is a BigTIFF: places in a TIFF end at 4 GiB, and its pages' directories
/// need some of it.
const BIG: u64 = 0xf000_0000;

/// A TIFF in the making, not compressed.
pub struct TiffPages<W: Write + Seek>(Kind<W>);

enum Kind<W: Write + Seek> {
    Classic(TiffEncoder<W, TiffKindStandard>),
    Big(TiffEncoder<W, TiffKindBig>),
}

impl<W: Write + Seek> TiffPages<W> {
    /// A file for images of that many bytes of values in all, at most.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new(writer: W, bytes: u64) -> Result<Self, ImageProblem> {
        let kind = if bytes < BIG {
            Kind::Classic(TiffEncoder::new(writer).map_err(refused)?)
        } else {
            Kind::Big(TiffEncoder::new_big(writer).map_err(refused)?)
        };
        Ok(Self(kind))
    }

    /// Adds a page.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn add(&mut self, image: &ImageFile) -> Result<(), ImageProblem> {
        let added = match &mut self.0 {
            Kind::Classic(encoder) => add(encoder, image),
            Kind::Big(encoder) => add(encoder, image),
        };
        added.map_err(refused)
    }
}

fn refused(error: TiffError) -> ImageProblem {
    match error {
        TiffError::IoError(error) => ImageProblem::Write(error),
        error => ImageProblem::Encode(error.to_string()),
    }
}

fn add<W: Write + Seek, K: TiffKind>(
    encoder: &mut TiffEncoder<W, K>,
    image: &ImageFile,
) -> Result<(), TiffError> {
    match (&image.samples, image.shape[2]) {
        (Samples::Eight(values), 1) => put::<Gray8, _, _>(encoder, image, values),
        (Samples::Eight(values), _) => put::<RGB8, _, _>(encoder, image, values),
        (Samples::Sixteen(values), 1) => put::<Gray16, _, _>(encoder, image, values),
        (Samples::Sixteen(values), _) => put::<RGB16, _, _>(encoder, image, values),
        (Samples::Float(values), 1) => put::<Gray32Float, _, _>(encoder, image, values),
        (Samples::Float(values), _) => put::<RGB32Float, _, _>(encoder, image, values),
    }
}

fn put<C: ColorType, W: Write + Seek, K: TiffKind>(
    encoder: &mut TiffEncoder<W, K>,
    image: &ImageFile,
    values: &[C::Inner],
) -> Result<(), TiffError>
where
    [C::Inner]: TiffValue,
{
    let [height, width, channels] = image.shape;
    let mut page = encoder.new_image::<C>(u32::try_from(width)?, u32::try_from(height)?)?;
    if let Some(density) = image.metadata.density {
        put_density(&mut page, density.for_tiff());
    }
    if let Some(profile) = image.metadata.profile_for(channels) {
        page.encoder().write_tag(Tag::IccProfile, profile)?;
    }
    page.write_data(values)
}

fn put_density<W: Write + Seek, C: ColorType, K: TiffKind>(
    page: &mut ImageEncoder<'_, W, C, K>,
    density: Density,
) {
    let unit = match density.unit {
        Unit::Inch => ResolutionUnit::Inch,
        Unit::Centimetre | Unit::Metre => ResolutionUnit::Centimeter,
        Unit::Unknown => ResolutionUnit::None,
    };
    let [x, y] = [density.x, density.y].map(|[n, d]| Rational { n, d });
    page.resolution_unit(unit);
    page.x_resolution(x);
    page.y_resolution(y);
}
