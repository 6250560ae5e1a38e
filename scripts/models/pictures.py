"""The photographs that the models learn from and are measured on, with their authors and licences.

Only what asks for no more than its author's name is here (public domain, CC0, CC BY, BSD): whether weights are a work
derived from pictures is an open question, and share-alike and copyleft licences (CC BY-SA, GPL, LGPL), under which most
wallpapers are, would then bind them. All were looked at: no drawings, nothing that is visibly noisy or compressed.
"""

from dataclasses import dataclass

from .sources import DebianPackage, PythonPackage

LOMIRI = DebianPackage("lomiri-wallpapers-16.04", "20.04.0-2", "usr/share/backgrounds")
PALAPELI = DebianPackage("palapeli-data", "4:22.12.3-1", "usr/share/palapeli/collection")
JPEG_XL = DebianPackage("libjxl-testdata", "0.0~git20230110.d6168ff-1", "usr/share/libjxl-testdata")
SKLEARN = DebianPackage("python3-sklearn", "1.2.1+dfsg-1", "usr/lib/python3/dist-packages/sklearn/datasets/images")
SCIPY = DebianPackage("python3-scipy", "1.10.1-2", "usr/lib/python3/dist-packages/scipy/misc")
SKIMAGE = PythonPackage("scikit-image", "skimage", "data")

PUBLIC, CC0, BSD = "public domain", "CC0 1.0", "BSD-3-Clause"
CC_BY_2, CC_BY_4 = "CC BY 2.0", "CC BY 4.0"
FREE = (PUBLIC, CC0, BSD, CC_BY_2, CC_BY_4)

TRAIN, TEST = "train", "test"


@dataclass(frozen=True)
class Picture:
    """One photograph."""

    name: str
    source: DebianPackage | PythonPackage
    file: str
    author: str
    licence: str
    shrink: int = 1
    """So many pixels a side become one, which takes camera noise and traces of JPEG away."""
    twice: bool = False
    """It is large, and there at half the size too: details are finer then, as in other people's small photographs."""
    part: str = TRAIN
    grey: bool = False
    """Has no colours: the colour model does without it."""


PICTURES = (
    Picture("astronaut", SKIMAGE, "astronaut.png", "NASA", PUBLIC),
    Picture("bricks", SKIMAGE, "brick.png", "CC0Textures", CC0, grey=True),
    Picture("grass", SKIMAGE, "grass.png", "linolafett", CC0, grey=True),
    Picture("gravel", SKIMAGE, "gravel.png", "CC0Textures", CC0, grey=True),
    Picture("coffee", SKIMAGE, "coffee.png", "Rachel Michetti", CC0),
    Picture("rocket", SKIMAGE, "rocket.jpg", "SpaceX", PUBLIC),
    Picture("raccoon", SCIPY, "face.dat", "public-domain-image.com", PUBLIC, twice=True),
    Picture("pagoda", SKLEARN, "china.jpg", "danielbuechele", CC_BY_2),
    Picture("dahlia", SKLEARN, "flower.jpg", "vultilion", CC_BY_2),
    Picture("autumn", LOMIRI, "aitzgorri_by_Aitzol_Berasategi.jpg", "Aitzol Berasategi", CC_BY_4, shrink=3, twice=True),
    Picture("stream", LOMIRI, "life_by_Aitzol_Berasategi.jpg", "Aitzol Berasategi", CC_BY_4, shrink=3, twice=True),
    Picture(
        "mountains", LOMIRI, "picosdeeuropa_by_Aitzol_Berasategi.jpg", "Aitzol Berasategi", CC_BY_4, shrink=3, twice=True
    ),
    Picture("sunset", LOMIRI, "sunset_by_Aitzol_Berasategi.jpg", "Aitzol Berasategi", CC_BY_4, shrink=4, twice=True),
    Picture("fig", LOMIRI, "Picture_0B_by_freespace.jpg", 'Trevor "Freespace"', CC_BY_4, shrink=3, twice=True),
    Picture("brushes", LOMIRI, "Picture_1A_by_freespace.jpg", 'Trevor "Freespace"', CC_BY_4, shrink=2),
    Picture("dandelions", LOMIRI, "seeding_by_Clements_Engelhardt.jpg", "Clemens Engelhardt", CC0, shrink=5, twice=True),
    Picture("drum", LOMIRI, "Wine_by_Jakkub_Mede.jpg", "Jakub Mede", CC_BY_4, shrink=4, twice=True),
    Picture("cliff", JPEG_XL, "external/wesaturate/500px/cvo9xd_keong_macan_srgb8.png", "keong_macan", CC0),
    Picture("tulips", JPEG_XL, "external/wesaturate/500px/tmshre_riaphotographs_srgb8.png", "riaphotographs", CC0),
    Picture("blossom", JPEG_XL, "external/wesaturate/500px/u76c0g_bliznaca_srgb8.png", "bliznaca", CC0),
    Picture("daisies", JPEG_XL, "jxl/flower/flower.png", "the JPEG XL Project Authors", BSD, shrink=3, twice=True),
    Picture("bee", PALAPELI, "european-honey-bee.jpg", "John Severns", PUBLIC, shrink=2, twice=True),
    Picture("citrus", PALAPELI, "citrus-fruits.jpg", "US Department of Agriculture", PUBLIC, shrink=2),
    Picture("camera", SKIMAGE, "camera.png", "Lav Varshney", CC0, part=TEST, grey=True),
    Picture("cat", SKIMAGE, "chelsea.png", "Stefan van der Walt", CC0, part=TEST),
    Picture("dogs", LOMIRI, "friends_by_Aitzol_Berasategi.jpg", "Aitzol Berasategi", CC_BY_4, shrink=3, part=TEST),
    Picture("bridge", PALAPELI, "cincinnati-bridge.jpg", "Derek Jensen", PUBLIC, shrink=2, part=TEST),
)
