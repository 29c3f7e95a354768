"""Which texts of a stored program are what torch itself writes: sizes, guards and names of operations.

torch evaluates these texts while it reads or runs a program, so each is parsed here and compared with a short grammar
first. Nothing is evaluated here.
"""

from __future__ import annotations

import ast
import re

LONGEST = 50_000
"""Characters of one text."""
_LETTERS = re.compile(r"[A-Za-z0-9_ '\"\[\].,()+\-*/%<>=!&|~]*")
_SIZE = re.compile(r"[a-z]{1,8}\d{1,9}")  # s77, u0, zuf3: how torch names a free size; never a builtin
_ARGUMENT = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_OPERATION = re.compile(
    r"torch\.ops\.(?!_)\w+\.(?!__)\w+(\.(?!__)\w+)?|_operator\.[a-z]\w*|math\.[a-z]\w*|torch\.sym_\w+"
)
_NAME = re.compile(r"[\w.\-]*", re.ASCII)
_OPERATOR_MODULE = (
    "eq ne le ge lt gt neg pos mul add sub floordiv mod pow truediv and_ or_ not_ lshift rshift getitem abs".split()
)
_POWERS = ("Pow", "PowByNatural", "FloatPow", "LShift", "RShift")
_FUNCTIONS = frozenset(
    """Add Mul Integer Float Rational Max Min Abs Mod floor ceiling And Or Not Xor Piecewise ExprCondPair Tuple
    Equality Unequality Eq Ne Lt Le Gt Ge StrictLessThan StrictGreaterThan LessThan GreaterThan
    FloorDiv ModularIndexing Where PythonMod CleanDiv CeilToInt FloorToInt CeilDiv FloatTrueDiv IntTrueDiv
    IsNonOverlappingAndDenseIndicator TruncToFloat TruncToInt RoundToInt RoundDecimal ToFloat Identity""".split()
)
_CONSTANTS = ("true", "false", "oo", "int_oo")
_PLAIN_FUNCTIONS = ("min", "max", "abs", "int", "float", "bool")
_MATH = ("floor", "ceil", "trunc", "sqrt", "isnan", "isinf", "fabs", "pow", "inf", "nan")
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.BitAnd, ast.BitOr)
_LARGEST, _HIGHEST, _NESTED = 2**63, 16, 3  # numbers, powers, and powers of powers: what they make stays short


def is_size(text: str) -> bool:
    """Whether a formula holds only sizes, numbers and the functions of sympy and torch that sizes are made of.

    >>> is_size("Mul(Integer(2), Symbol('s77', positive=True, integer=True))"), is_size("Max(1, 2*s77 + 1)")
    (True, True)
    >>> is_size("eval(1)"), is_size("s0.__class__"), is_size("Symbol('eval')"), is_size("Pow(9, 99999999)")
    (False, False, False, False)
    """
    tree = _parsed(text)
    return tree is not None and _in_size(tree, 0)


def is_guard(text: str) -> bool:
    """Whether a text compares sizes of a program's inputs with each other and with numbers, and does nothing else.

    >>> is_guard("L['x'].size()[0] <= 5"), is_guard("__import__('os')"), is_guard("L['x'].data_ptr()")
    (True, False, False)
    """
    tree = _parsed(text)
    return isinstance(tree, ast.Compare | ast.BoolOp | ast.UnaryOp) and _in_guard(tree)


def is_operation(text: str) -> bool:
    """Whether a text names an operation of torch, of Python's operators, or of arithmetic.

    >>> is_operation("torch.ops.aten.relu.default"), is_operation("torch.os.system"), is_operation("torch.hub.load")
    (True, False, False)
    """
    known = text.partition(".")[2] in _OPERATOR_MODULE if text.startswith("_operator.") else True
    return bool(_OPERATION.fullmatch(text)) and known


def is_name(text: str) -> bool:
    """Whether a text can be a name in the code that torch writes for a program; empty ones are made up there.

    >>> is_name("p_f_0_weight"), is_name("x): import os #")
    (True, False)
    """
    return bool(_NAME.fullmatch(text))


def _parsed(text: str) -> ast.expr | None:
    if len(text) > LONGEST or not _LETTERS.fullmatch(text):
        return None
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _in_size(node: ast.expr, powers: int) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _function(node.func.id, node, powers)
    if isinstance(node, ast.Name):
        return bool(_SIZE.fullmatch(node.id)) or node.id in _CONSTANTS
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _power(node.left, node.right, powers)
    return _number(node) or (_joins(node) and all(_in_size(part, powers) for part in _parts(node)))


def _function(name: str, node: ast.Call, powers: int) -> bool:
    if name == "Symbol":
        named = len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
        flags = all(_flag(keyword) for keyword in node.keywords)
        return named and flags and bool(_SIZE.fullmatch(node.args[0].value))  # type: ignore[attr-defined]
    if name == "Float":
        text = isinstance(node.args[0], ast.Constant) and str(node.args[0].value) if len(node.args) == 1 else False
        return bool(text and re.fullmatch(r"-?\d{1,40}(\.\d{0,40})?(e[+-]?\d{1,3})?", text)) and _short(node.keywords)
    if node.keywords:
        return False
    if name in _POWERS:
        return len(node.args) == 2 and _power(node.args[0], node.args[1], powers)
    return name in _FUNCTIONS and all(_in_size(argument, powers) for argument in node.args)


def _flag(keyword: ast.keyword) -> bool:
    """What is assumed of a symbol, such as ``positive=True``."""
    plain = keyword.arg is not None and re.fullmatch("[a-z]+", keyword.arg)
    return bool(plain) and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool)


def _power(base: ast.expr, exponent: ast.expr, powers: int) -> bool:
    """A small number as exponent: 9 to the power of a billion would never end."""
    if isinstance(exponent, ast.Call) and isinstance(exponent.func, ast.Name) and exponent.func.id == "Rational":
        small = ast.unparse(exponent) in ("Rational(1, 2)", "Rational(-1, 2)")
    else:
        inner = isinstance(exponent, ast.Call) and len(exponent.args) == 1 and ast.unparse(exponent.func) == "Integer"
        number = exponent.args[0] if inner else exponent  # type: ignore[attr-defined]
        small = _number(number) and abs(float(ast.literal_eval(number))) <= _HIGHEST
    return small and powers < _NESTED and _in_size(base, powers + 1)


def _short(keywords: list[ast.keyword]) -> bool:
    return all(k.arg == "precision" and _number(k.value) and 0 < ast.literal_eval(k.value) <= 200 for k in keywords)


def _number(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        return _number(node.operand)
    value = node.value if isinstance(node, ast.Constant) else None
    return isinstance(value, int | float) and abs(value) <= _LARGEST


def _joins(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, _OPERATORS)
    return isinstance(node, ast.BoolOp | ast.Compare) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd | ast.Not | ast.Invert)
    )


def _parts(node: ast.expr) -> list[ast.expr]:
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]


def _in_guard(node: ast.expr) -> bool:
    if _number(node) or _of_input(node):
        return True
    if isinstance(node, ast.Call) and not node.keywords:
        known = isinstance(node.func, ast.Name) and node.func.id in _PLAIN_FUNCTIONS
        return (known or _of_math(node.func)) and all(_in_guard(argument) for argument in node.args)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _number(node.right) and abs(ast.literal_eval(node.right)) <= _HIGHEST and _in_guard(node.left)
    return _of_math(node) or (_joins(node) and all(_in_guard(part) for part in _parts(node)))


def _of_math(node: ast.expr) -> bool:
    inside = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "math"
    return inside and node.attr in _MATH  # type: ignore[attr-defined]


def _of_input(node: ast.expr) -> bool:
    """``L['x']`` and what is in it, its ``.size()[0]``, ``.stride()[0]``, ``.storage_offset()``."""
    if isinstance(node, ast.Subscript):
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        fits = isinstance(key, int) or (isinstance(key, str) and bool(_ARGUMENT.fullmatch(key)))
        return fits and (_of_input(node.value) or (isinstance(node.value, ast.Name) and node.value.id == "L"))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args and not node.keywords:
        return node.func.attr in ("size", "stride", "storage_offset", "dim") and _of_input(node.func.value)
    return False
