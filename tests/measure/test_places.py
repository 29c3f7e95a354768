"""Tables of places under any name, and what looks like one by its size and is none."""

import math
import warnings

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.tolerances import AGAIN_SINGLE, AGAIN_ZERO, BROKEN, EXACT
from workbench.measure import explain, repair, will_it_be_equivariant
from workbench.measure.places import place_dims, placed_tables

FRAME = "a frame for the answer"  # as large as the image, so that sizes alone name it elsewhere
SIZE, TOKENS, WIDTH = 24, 16, 16  # as many channels as tokens: sizes alone tell nothing


class Patches(nn.Module):
    """Patches of a picture, ``mixed`` with a table, a nonlinear layer and the mean over places."""

    def __init__(self, mixed, *shape: int, name: str = "embed", width: int = WIDTH, buffer: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patch, self.last = nn.Conv2d(1, width, 6, 6), nn.Sequential(nn.Linear(width, 8), nn.ReLU())
        self.mixed, self.name = mixed, name
        if name and buffer:
            self.register_buffer(name, torch.randn(*shape))
        elif name:
            setattr(self, name, nn.Parameter(torch.randn(*shape)))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.mixed(self.patch(x), getattr(self, self.name, None))
        return self.last(tokens).flatten(1, -2).mean(1)


class Looked(Patches):
    """An embedding that is asked for its first rows."""

    def __init__(self, rows: int) -> None:
        super().__init__(None, name="")
        self.wpe = nn.Embedding(rows, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(flat(self.patch(x)) + self.wpe(torch.arange(TOKENS))).mean(1)


class Quantised(Patches):
    """Each token replaced by the nearest entry of a book with as many entries as there are tokens."""

    def __init__(self) -> None:
        super().__init__(None, name="")
        self.book = nn.Embedding(TOKENS, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        tokens = flat(self.patch(x))
        nearest = (tokens.unsqueeze(2) - self.book.weight).square().sum(-1).argmin(-1)
        return self.last(tokens + self.book(nearest)).mean(1)


class Attention(Patches):
    """Attention whose scores get a bias; ``inside`` torch's own function or by hand."""

    def __init__(self, *shape: int, inside: bool = False, index: bool = False) -> None:
        super().__init__(None, *shape)
        self.inside, self.index = inside, index

    def forward(self, x: Tensor) -> Tensor:
        tokens = flat(self.patch(x)).unflatten(-1, (2, -1)).transpose(1, 2)
        bias = self.embed
        if self.index:
            line = torch.arange(TOKENS)
            bias = bias[(line[:, None] - line) + TOKENS - 1].permute(2, 0, 1)
        if self.inside:
            mixed = functional.scaled_dot_product_attention(tokens, tokens, tokens, attn_mask=bias)
        else:
            mixed = (tokens @ tokens.mT / math.sqrt(8) + bias).softmax(-1) @ tokens
        return self.last(mixed.transpose(1, 2).flatten(2)).mean(1)


class Plain(Patches):
    """A transformer without positions: with a class token, gains a channel, and torch's own layers."""

    def __init__(self) -> None:
        super().__init__(None, 1, 1, WIDTH)
        self.gain = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.block = nn.TransformerEncoderLayer(WIDTH, 2, 32, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = torch.cat([self.embed.expand(len(x), -1, -1), flat(self.patch(x))], 1)
        return self.last(self.gain * self.block(tokens))[:, 0]


class SoftPlaces(nn.Module):
    """Key points as means of coordinates: the table is the answer's frame and goes into no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(1, 3, 3, padding=1)
        self.register_buffer("line", torch.linspace(-1, 1, SIZE).expand(SIZE, SIZE).clone())

    def forward(self, x: Tensor) -> Tensor:
        weights = self.maps(x).flatten(2).softmax(-1).unflatten(-1, (SIZE, SIZE))
        return torch.stack([(weights * self.line).sum((2, 3)), (weights * self.line.mT).sum((2, 3))], -1)


class Experts(nn.Module):
    """A convolution whose filters are mixed for each picture from as many as there are places."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.choose = nn.Conv2d(1, 4, 6, 6), nn.Linear(4, 3)
        self.filters = nn.Parameter(torch.randn(3, TOKENS, 4))

    def forward(self, x: Tensor) -> Tensor:
        maps = self.first(x)
        share = self.choose(maps.mean((2, 3))).softmax(-1)
        filters = (share.view(-1, 3, 1, 1) * self.filters).sum(1)
        return (filters @ maps.flatten(2)).mean(2)


def flat(maps: Tensor) -> Tensor:
    return maps.flatten(2).mT


def last(maps: Tensor) -> Tensor:
    return maps.permute(0, 2, 3, 1)


def joined(maps: Tensor, table: Tensor) -> Tensor:
    return flat(torch.cat([maps, table.expand(len(maps), -1, -1, -1)], 1)[:, 2:])


def added(maps: Tensor, table: Tensor) -> Tensor:
    return flat(maps) + table


BAD = {
    **{name: Patches(added, 1, TOKENS, WIDTH, name=name) for name in ("pos", "embed", "pe", "wpe", "w")},
    "a buffer": Patches(added, 1, TOKENS, WIDTH, buffer=True),
    "without a batch axis": Patches(added, TOKENS, WIDTH),
    "one gain a token": Patches(lambda maps, table: flat(maps) * table, 1, TOKENS, 1, width=8),
    "with a class token": Patches(
        lambda maps, table: torch.cat([flat(maps)[:, :1], flat(maps)], 1) + table, 1, TOKENS + 1, WIDTH
    ),
    "longer than used": Patches(lambda maps, table: flat(maps) + table[:, :TOKENS], 1, 50, WIDTH),
    "an embedding": Looked(TOKENS),
    "an embedding with more rows": Looked(50),
    "tokens first": Patches(lambda maps, table: (flat(maps).transpose(0, 1) + table).transpose(0, 1), TOKENS, 1, WIDTH),
    "on a map": Patches(lambda maps, table: flat(maps + table), 1, WIDTH, 4, 4),
    "on a map, one row": Patches(lambda maps, table: flat(maps + table), 1, WIDTH, 4, 1),
    "on a map, channels last": Patches(lambda maps, table: last(maps) + table, 1, 4, 4, WIDTH),
    "interpolated": Patches(
        lambda maps, table: flat(maps + functional.interpolate(table, maps.shape[-2:])), 1, WIDTH, 7, 7
    ),
    "joined to the channels": Patches(joined, 1, 2, 4, 4, buffer=True),
    "of pairs of tokens": Attention(2, TOKENS, TOKENS),
    "of pairs of tokens, in torch's attention": Attention(2, TOKENS, TOKENS, inside=True),
    "of differences": Attention(2 * TOKENS - 1, 2, index=True),
}

GOOD = {
    "no table": Patches(lambda maps, _: flat(maps), name=""),
    "a transformer without positions": Plain(),
    "a weight of its own": Patches(lambda maps, table: flat(maps) @ table, TOKENS, WIDTH),
    "a weight of two factors": Patches(lambda maps, table: flat(maps) @ (table @ table.mT), TOKENS, WIDTH),
    "a bias a channel": Patches(lambda maps, table: flat(maps + table), 1, WIDTH, 1, 1),
    "a gain a channel": Patches(lambda maps, table: flat(maps) * table, 1, 1, WIDTH),
    "a gain a channel, channels last": Patches(lambda maps, table: last(maps) * table, 1, 1, 1, WIDTH),
    "a gain a channel, as many as rows": Patches(lambda m, table: last(m) * table, 1, 1, 1, 4, width=4),
    "more tokens": Patches(lambda maps, t: torch.cat([t.expand(len(maps), -1, -1), flat(maps)], 1), 1, 4, WIDTH),
    "a bias a channel, tokens last": Patches(lambda maps, table: (maps.flatten(2) + table).mT, 1, WIDTH, 1),
    "a scale a head": Attention(2, 1, 1),
    "never used": Patches(lambda maps, _: flat(maps), 1, TOKENS, WIDTH),
    "the same everywhere": Patches(lambda m, table: flat(m) + table.mean(1, keepdim=True), 1, TOKENS, WIDTH),
    "a book of entries": Quantised(),
    "mixed filters": Experts(),
    FRAME: nn.Sequential(nn.Identity(), SoftPlaces()),
}


def rules(model: nn.Module, group: str | None = None) -> list[str]:
    return will_it_be_equivariant(model.eval(), (1, SIZE, SIZE), group).rule.values.tolist()


@pytest.mark.parametrize("name", BAD)
def test_n8_a_table_of_places_is_named_whatever_it_is_called(name: str) -> None:
    assert rules(BAD[name]) == ["position encoding"]


@pytest.mark.parametrize("name", [name for name in GOOD if name != FRAME])
def test_n8_what_only_has_the_size_of_one_is_not(name: str) -> None:
    assert rules(GOOD[name]) == []


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_told_by_use_of_what_is_no_table(name: str) -> None:
    assert placed_tables(GOOD[name].eval(), torch.zeros(1, 1, SIZE, SIZE)) == []


@pytest.mark.parametrize("name", BAD)
def test_the_finding_is_gone_after_its_repair_and_the_network_is_as_it_was(name: str) -> None:
    model = BAD[name].eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fixed = repair(model, will_it_be_equivariant(model, (1, SIZE, SIZE)).isel(finding=0))
    assert rules(fixed) == []
    if name.startswith("on a map"):
        table = (fixed.embed.movedim(-1, 1) if name.endswith("last") else fixed.embed).detach()
        assert torch.allclose(table, table[..., :1, :1], rtol=AGAIN_SINGLE, atol=AGAIN_ZERO)
        assert float(table.std(1).max()) > BROKEN
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_tables_of_differences_break_turns_and_no_shifts() -> None:
    assert rules(BAD["of differences"], "Translation") == ["aliasing"]
    assert sorted(rules(BAD["an embedding"], "Translation")) == ["aliasing", "position encoding"]


def test_of_two_tables_each_is_repaired_by_itself_and_has_its_share() -> None:
    class Two(Patches):
        def __init__(self) -> None:
            super().__init__(None, 1, TOKENS, WIDTH)
            self.more = nn.Parameter(torch.randn(1, TOKENS, WIDTH))
            with torch.no_grad():
                self.patch.weight.fill_(0.1)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(flat(self.patch(x)) + self.embed + self.more).mean(1)

    images = torch.rand(4, 1, SIZE, SIZE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ds = explain(Two().double(), images, "D(4)")
    assert ds.rule.values.tolist() == ["position encoding"] * 2
    assert float(ds.share_all) == pytest.approx(1.0, abs=EXACT[torch.float64] ** 0.5)
    assert float(ds.share.max()) < 0.9


def distances(side: int) -> Tensor:
    line = torch.arange(side) - (side - 1) / 2
    return (line[:, None].square() + line.square()).sqrt()


@pytest.mark.parametrize("name", ["pos", "any"])
@pytest.mark.parametrize("kind", ["tokens", "with a class token", "map", "own size"])
def test_n8_a_table_of_distances_breaks_shifts_alone(kind: str, name: str) -> None:
    each = torch.arange(1.0, WIDTH + 1)
    rows = distances(4).flatten()[:, None] * each
    mixed, table = {
        "tokens": (added, rows[None]),
        "with a class token": (BAD["with a class token"].mixed, torch.cat([rows[:1] + 9, rows])[None]),
        "map": (lambda maps, table: flat(maps + table), (distances(4) * each[:, None, None])[None]),
        "own size": (lambda maps, table: flat(maps) + table.mean(), distances(SIZE)),
    }[kind]
    for change, turned in ((0.0, []), (0.5, ["position encoding"])):
        model = Patches(mixed, *table.shape, name=name)
        with torch.no_grad():
            getattr(model, name).copy_(table)[..., -1, -1] += change
        assert sorted(rules(model, "Translation")) == ["aliasing", "position encoding"]
        assert rules(model) == turned


@pytest.mark.parametrize("kind", ["exported", "traced"])
def test_tables_of_programs_are_found_too(kind: str) -> None:
    model, x = BAD["embed"].eval(), torch.rand(1, 1, SIZE, SIZE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        program = torch.export.export(model, (x,)).module() if kind == "exported" else torch.jit.trace(model, x)
    assert [one.name for one in placed_tables(program, x)] == ["embed"]


def test_the_axes_of_places() -> None:
    for shape, places, dims in (
        ((1, 16, 8), (1, 16), (-2,)),
        ((1, 8, 16), (1, 16), (-1,)),
        ((16, 1, 8), (1, 16), (-3,)),
        ((1, 16, 16), (1, 16), (-2,)),
        ((2, 16, 16), (1, 16), (-2, -1)),
        ((1, 8, 4, 4), (4, 4), (-2, -1)),
        ((1, 4, 4, 8), (4, 4), (-3, -2)),
        ((50, 8), (1, 16), (-2,)),
    ):
        assert place_dims(torch.zeros(shape), places) == dims
