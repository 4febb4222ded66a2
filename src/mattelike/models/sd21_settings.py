"""Every choice of the research model, with its reason: where paper and release differ, and what neither says.

Only the model ``sd21`` knows these; the verbs pass them through (``settings={...}``, ``--set key=value``).
The D numbers name the differences between paper and release as the documentation lists them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_type_hints

from mattelike.errors import SettingsError
from mattelike.models.sd21_parsing import parsed

Preset = Literal["default", "release", "paper"]
Geometry = Literal["resize", "pad", "release"]

# Output blocks of the U-Net's decoder, numbered from 0 as in the LDM code, for each way to read the paper.
FEATURES: Mapping[str, tuple[int, ...]] = {
    "release": (2, 5),
    "paper0": (5, 8, 11),
    "paper1": (4, 7, 10),
}
# Settings that say where something lies.
PLACES = ("sd_path", "sd_config", "unet", "sources")


@dataclass(frozen=True, slots=True)
class IconSettings:
    """All settings of the model ``sd21``.

    Those in `ELSEWHERE` are about how a model is asked and measured: presets say what paper and release do,
    other parts of the program do it.

    Attributes:
        timestep: Diffusion step at which features are taken (D1; table 8). The release and the supplement
            say 200.
        sd_id: Hub id of the diffusion model (D2): the v-prediction model at 768 pixels.
        sd_path: A local folder in the layout of `diffusers`, or one ``.safetensors`` file; used before
            `sd_id`.
        mirrors: Further hub ids, tried in order when `sd_id` cannot be had.
        sd_config: Folder with the configuration for a single ``.safetensors`` file.
        unet: Folder or ``.safetensors`` file of another U-Net of the same shape, such as CleanDIFT's.
        add_noise: Noise the latent to `timestep`; False gives the U-Net the clean latent (CleanDIFT).
        other_backbones: Accept models other than the v-prediction one, such as SD 2.1-base or SD 1.5; for
            new head weights only.
        features: Decoder blocks the head reads (D3): ``release``, ``paper0``, ``paper1`` or block numbers
            0 to 11. Published weights fit ``release``.
        inter_block: Decoder block that is matched; 5 has 1280 channels at stride 16.
        query_reduction: How query tokens are brought together (D5): the paper's ``mean`` or the release's
            ``sum``, to whose scale the release's weights are trained.
        query_norm: LayerNorm before the dot product (D6), as published weights have it.
        temperature: Divides the logits of inter-similarity (D38).
        mask_pool: How a mask is brought to the grid of tokens (D7): ``min`` is the release's; ``auto`` is
            ``min`` as long as a cell survives it.
        mask_threshold: From which weight on a cell is a query token.
        min_tokens: Fewest query tokens of a reference.
        attention_strides: Strides, in pixels, of the self-attention that is read (D8).
        attention_places: Parts of the U-Net it is read from.
        attention_axis: Whether similarity weighs the keys (release) or the queries of the maps (D9).
        s_align_corners: How similarity is brought to other strides (D10): the release aligns corners.
        ensemble_size: Noise draws whose features are averaged (D11).
        latent_mode: ``sample`` of the VAE's posterior for every draw, or its ``mean``.
        noise_mode: ``by_role``: all targets share their noise, references share another; ``independent``:
            noise of its own for every picture (D12).
        rounds: Rounds an evaluation averages over.
        seeds: Of noise and training: the first is used. The others are for further rounds of an evaluation,
            each as a method of its own (``-m sd21:seeds=1``).
        loss_preset: Losses of the release or of the paper (D13).
        loss_batch_reduction: ``mean`` makes the step independent of the batch size; the release sums.
        loss_reference_area: Pixels at which the area factors of the release's losses are 1.
        segmentation_rule: Which samples are hard masks (D14): those that say so (``field``), those with
            two values (``binary``), or the release's, which only knows all-0 and all-1.
        confident_radius: Pixels at 768 within which the edge of a hard mask is not trusted.
        optimizer: ``adamw`` (paper) or ``adam`` (release) (D15).
        learning_rate: Of the head.
        weight_decay: Of AdamW; the paper gives no number.
        warmup_steps: Linear warm-up (release).
        batch_size: Samples a step (D16).
        accumulate: Batches a step is gathered from.
        max_steps: Length of the training (paper).
        train_geometry: Random crops (paper) or the release's centred square (D17).
        crop_size: Side of the training crop, in pixels.
        sources: Data to train on: index files or folders (D18).
        allow_overlap: Accept training data that is in the test index.
        mse_scale: Factor of printed MSE (D21); the tables show raw values.
        region: Where metrics are taken (D22).
        conn_component: Variant of the connectivity metric (D25).
        eval_geometry: How a photo becomes the square the head needs (D23): ``resize`` loses and distorts
            nothing in the end, ``pad`` keeps proportions, ``release`` crops the centre and stretches back.
        metric_size: Size at which metrics are taken.
        reference_policy: Which member of a group is the reference (D24).
        allow_self: Let a picture be its own reference; the release does so in ``pairs``, groups of two.
        prompt_extension_m: Tokens that every prompted token adds (D26, section 3.6), for points and
            scribbles; 0 adds none. The paper gives no number.
        reference_reduction: How several references are brought together (D27).
        image_channels: Channels of the detail branch (D28): 4 takes a trimap beside the colours (table 7).
        trimap_radius: Width, in pixels, by which an unknown band is widened (D31).
        png_rounding: ``round`` to the nearest level, or the release's ``floor`` (D32).
        dtype: Precision of the frozen U-Net and VAE (D40); attention logits and the head are float32.
        head: ``icon-768`` (the release's), ``icon-flex`` (any resolution) or ``vitmatte``.
        norm: Norm of the flex head: BatchNorm, or GroupNorm for batches of one or two.
        attn_mode: ``accumulate`` one N x N map, or ``blockwise`` without any.
        block_rows: Rows of the grid in a block.
        reuse_self: Where a target is its own reference, look once and use it for both.
        on_empty: A mark of which no token is left: an error, or the release's silent zeros.
        resize_prompt: Accept a mask of another size than its photo.
        negative_mode: What negative references do to similarity.
        use_background: Take the background of a mask as negative.
        absent_share: Share of the targets of a training whose reference is of another kind, so that the flex
            head learns to say that a kind is not there; no other head is asked that. 0 leaves presence to
            the evidence alone.
        presence_threshold: Presence below which the status is "absent"; None only reports it.
        side: Pixels of the square the head sees.
        inter: Table 5: use inter-similarity.
        intra: Table 5: use intra-similarity; False feeds the similarity itself.
        multi_scale: Table 5: read all scales; False reads only the one that is matched.
        use_segmentation_data: Table 5: train on hard masks too.
    """

    timestep: int = 200
    sd_id: str = "stabilityai/stable-diffusion-2-1"
    sd_path: str | None = None
    mirrors: tuple[str, ...] = ()
    sd_config: str | None = None
    unet: str | None = None
    add_noise: bool = True
    other_backbones: bool = False
    features: Literal["release", "paper0", "paper1"] | tuple[int, ...] = "release"
    inter_block: int = 5
    query_reduction: Literal["sum", "mean"] = "sum"
    query_norm: bool = True
    temperature: float = 1.0
    mask_pool: Literal["auto", "min", "max", "average"] = "auto"
    mask_threshold: float = 0.5
    min_tokens: int = 1
    attention_strides: tuple[int, ...] = (32, 16)
    attention_places: tuple[str, ...] = ("down", "mid", "up")
    attention_axis: Literal["key", "query"] = "key"
    s_align_corners: bool = True
    ensemble_size: int = 4
    latent_mode: Literal["sample", "mean"] = "sample"
    noise_mode: Literal["by_role", "independent"] = "by_role"
    rounds: int = 3
    seeds: tuple[int, ...] = (0, 1, 2)
    loss_preset: Literal["release", "paper"] = "release"
    loss_batch_reduction: Literal["mean", "sum"] = "mean"
    loss_reference_area: int = 262144
    segmentation_rule: Literal["field", "binary", "release"] = "field"
    confident_radius: float = 15.0
    optimizer: Literal["adamw", "adam"] = "adamw"
    learning_rate: float = 4e-4
    weight_decay: float = 0.01
    warmup_steps: int = 250
    batch_size: int = 8
    accumulate: int = 1
    max_steps: int = 20000
    train_geometry: Literal["random_crop", "release"] = "random_crop"
    crop_size: int = 768
    sources: tuple[str, ...] = ()
    allow_overlap: bool = False
    mse_scale: float = 1.0
    region: Literal["all", "unknown"] = "all"
    conn_component: Literal["foreground", "release"] = "foreground"
    eval_geometry: Geometry = "resize"
    metric_size: Literal["original", "network"] = "original"
    reference_policy: Literal["fixed", "random"] = "fixed"
    allow_self: bool | Literal["pairs"] = False
    prompt_extension_m: int = 16
    reference_reduction: Literal["mean", "tokens", "max"] = "mean"
    image_channels: Literal[3, 4] = 3
    trimap_radius: int = 10
    png_rounding: Literal["round", "floor"] = "round"
    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    head: Literal["icon-768", "icon-flex", "vitmatte"] = "icon-768"
    norm: Literal["bn", "gn"] = "bn"
    attn_mode: Literal["accumulate", "blockwise"] = "accumulate"
    block_rows: int = 8
    reuse_self: bool = True
    on_empty: Literal["raise", "zeros"] = "raise"
    resize_prompt: bool = False
    negative_mode: Literal["gate", "subtract", "none"] = "gate"
    use_background: bool = False
    absent_share: float = 0.1
    presence_threshold: float | None = None
    side: int = 768
    inter: bool = True
    intra: bool = True
    multi_scale: bool = True
    use_segmentation_data: bool = True

    def __post_init__(self) -> None:
        _check_ranges(self)

    @property
    def blocks(self) -> tuple[int, ...]:
        """Decoder blocks the head reads, in the order of the U-Net: coarse to fine."""
        if not self.multi_scale:
            return (self.inter_block,)
        named = FEATURES[self.features] if isinstance(self.features, str) else self.features
        return tuple(sorted(named))

    def as_json(self, *, places: bool = True) -> str:
        """The effective settings.

        Args:
            places: Say where files lie. Results and contexts, which are passed on, say only their names.
        """
        table = asdict(self)
        if not places:
            table = {name: _named(value) if name in PLACES else value for name, value in table.items()}
        return json.dumps(table, sort_keys=True)


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    # Everything as the authors' code does it, but for its crashes and side effects (D29, D30).
    "release": {
        "mask_pool": "min",
        "loss_batch_reduction": "sum",
        "segmentation_rule": "release",
        "optimizer": "adam",
        "weight_decay": 0.0,
        "batch_size": 2,
        "train_geometry": "release",
        "eval_geometry": "release",
        "reference_policy": "random",
        "allow_self": "pairs",
        "conn_component": "release",
        "png_rounding": "floor",
        "on_empty": "zeros",
        "rounds": 1,
        "seeds": (42,),
        "noise_mode": "independent",
        "reuse_self": False,
        "prompt_extension_m": 0,
    },
    # As the paper says; no published weights fit.
    "paper": {
        "features": "paper0",
        "timestep": 200,
        "ensemble_size": 1,
        "latent_mode": "mean",
        "query_reduction": "mean",
        "query_norm": False,
        "loss_preset": "paper",
        "optimizer": "adamw",
        "batch_size": 8,
        "train_geometry": "random_crop",
    },
}


# Choices about how a model is asked and measured, not about the model: here they say what paper and release
# do, as presets set them. What acts is named beside each; set here alone it would do nothing, in silence.
ELSEWHERE: Mapping[str, str] = {
    "rounds": "mattelike evaluate --rounds",
    "mse_scale": "MSE is reported raw; multiply it",
    "region": "mattelike evaluate --region",
    "conn_component": "mattelike evaluate --conn",
    "metric_size": "mattelike evaluate --protocol native, or icm-768 for the network's size",
    "reference_policy": "mattelike evaluate --choices",
    "resize_prompt": "a mask of the photo's proportions is resized anyway; bring others to its size",
}


def settings_of(
    given: IconSettings | Mapping[str, Any] | None = None, base: IconSettings | None = None
) -> IconSettings:
    """Settings from a table of changes: ``{"preset": "paper", "timestep": 100}``.

    Args:
        given: Changes by name, values as themselves or as text (``--set``); ``preset`` chooses what they
            are changes to. Finished settings pass through.
        base: Finished settings that they are changes to instead.

    Raises:
        SettingsError: An unknown name, a value it cannot take, or one that acts elsewhere.
    """
    if isinstance(given, IconSettings):
        return given
    table = dict(given or {})
    preset = table.pop("preset", "default")
    if preset not in PRESETS:
        raise SettingsError(f"no preset named {preset!r}; there are: {', '.join(PRESETS)}")
    # New weights of the flex head start from scale-preserving similarity (D5, D10).
    flex = {"query_reduction": "mean", "s_align_corners": False} if table.get("head") == "icon-flex" else {}
    hints = get_type_hints(IconSettings)
    changes = {name: parsed(name, value, hints) for name, value in table.items()}
    start = base or replace(IconSettings(), **{**PRESETS[preset], **flex})
    for name, place in ELSEWHERE.items():
        _demand(changes.get(name, own := getattr(start, name)) == own, f"{name} is not set here: {place}")
    return replace(start, **changes)


def _check_ranges(settings: IconSettings) -> None:
    """Refuses what no run could mean.

    Raises:
        SettingsError: Names the setting.
    """
    least = {
        "ensemble_size": 1, "min_tokens": 0, "block_rows": 1, "batch_size": 1, "accumulate": 1, "rounds": 1,
        "max_steps": 1, "crop_size": 1, "prompt_extension_m": 0, "confident_radius": 0, "warmup_steps": 0,
        "trimap_radius": 0, "loss_reference_area": 1, "weight_decay": 0,
    }  # fmt: skip
    for name, low in least.items():
        if getattr(settings, name) < low:
            raise SettingsError(f"{name}={getattr(settings, name)}: must be at least {low}")
    _demand(0 <= settings.timestep <= 999, f"timestep={settings.timestep}: must be 0 to 999")
    _demand(settings.temperature > 0, f"temperature={settings.temperature}: must be above 0")
    _demand(settings.learning_rate > 0, f"learning_rate={settings.learning_rate}: must be above 0")
    _demand(
        0 <= settings.absent_share < 1,
        f"absent_share={settings.absent_share}: must be at least 0 and below 1",
    )
    _demand(len(settings.seeds) > 0, "seeds: give at least one")
    numbers = (*settings.blocks, settings.inter_block)
    _demand(all(0 <= number <= 11 for number in numbers), "features, inter_block: blocks are 0 to 11")
    _demand(len(settings.blocks) > 0, "features: name at least one block")
    places = set(settings.attention_places) - {"down", "mid", "up"}
    _demand(not places, f"attention_places: there are down, mid, up, not {', '.join(sorted(places))}")
    _demand(settings.side % 64 == 0 and settings.side > 0, f"side={settings.side}: must be a multiple of 64")


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise SettingsError(message)


def _named(place: Any) -> Any:
    """A path, or several, without the folders around."""
    if isinstance(place, str):
        return re.split(r"[\\/]", place.rstrip("\\/"))[-1]
    return place if place is None else [_named(each) for each in place]


def default_dump() -> dict[str, Any]:
    """Every setting with its default."""
    return {f.name: f.default for f in fields(IconSettings)}
