"""The expression operators that pipelines may use, and what each takes.

Left out, and why: `$function` and `$accumulator` run JavaScript; `$regexMatch` and its kin, and the
`$indexOf` family, can be made to take for ever; `$range`, `$reduce`, `$zip` and `$replaceAll` make
much out of little, and MongoDB does not stop an expression that is being computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Named:
    """The names of an operator's arguments."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()


def _named(required: str, optional: str = "") -> Named:
    return Named(frozenset(required.split()), frozenset(optional.split()))


# Their result is small whatever they are given: a number, a boolean, a date, the name of a type.
SCALAR = frozenset(
    (
        *("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$cmp", "$and", "$or", "$not"),
        *("$add", "$subtract", "$multiply", "$divide", "$mod", "$abs", "$ceil", "$floor"),
        *("$round", "$trunc", "$sqrt", "$pow", "$exp", "$ln", "$log", "$log10"),
        *("$sum", "$avg", "$stdDevPop", "$stdDevSamp", "$size", "$isArray", "$isNumber", "$type"),
        *("$in", "$strLenCP", "$strLenBytes", "$strcasecmp", "$bsonSize"),
        *("$setEquals", "$setIsSubset", "$allElementsTrue", "$anyElementTrue"),
        *("$toBool", "$toDate", "$toDecimal", "$toDouble", "$toInt", "$toLong", "$toObjectId"),
        *("$year", "$month", "$week", "$dayOfYear", "$dayOfMonth", "$dayOfWeek", "$hour"),
        *("$minute", "$second", "$millisecond", "$isoWeek", "$isoWeekYear", "$isoDayOfWeek"),
    )
)
# One argument, or an array of them.
PLAIN = SCALAR | frozenset(
    (
        *("$min", "$max", "$first", "$last", "$ifNull", "$toString", "$toLower", "$toUpper"),
        *("$concat", "$substrCP", "$substrBytes", "$split", "$arrayElemAt", "$slice"),
        *("$concatArrays", "$reverseArray", "$setUnion", "$setIntersection", "$setDifference"),
        *("$mergeObjects", "$objectToArray", "$arrayToObject"),
    )
)
# The parts of a date also take a time zone.
DATE_PARTS = frozenset(
    (
        *("$year", "$month", "$week", "$dayOfYear", "$dayOfMonth", "$dayOfWeek", "$hour"),
        *("$minute", "$second", "$millisecond", "$isoWeek", "$isoWeekYear", "$isoDayOfWeek"),
    )
)
DATE_PART = _named("date", "timezone")

NAMED: Mapping[str, Named] = {
    "$cond": _named("if then else"),
    "$convert": _named("input to", "onError onNull"),
    "$dateAdd": _named("startDate unit amount", "timezone"),
    "$dateSubtract": _named("startDate unit amount", "timezone"),
    "$dateDiff": _named("startDate endDate unit", "timezone startOfWeek"),
    "$dateFromParts": _named(
        "",
        "year isoWeekYear month isoWeek day isoDayOfWeek hour minute second millisecond timezone",
    ),
    "$dateToParts": _named("date", "timezone iso8601"),
    "$dateFromString": _named("dateString", "format timezone onError onNull"),
    "$dateToString": _named("date", "format timezone onNull"),
    "$dateTrunc": _named("date unit", "binSize timezone startOfWeek"),
    "$trim": _named("input"),
    "$ltrim": _named("input"),
    "$rtrim": _named("input"),
}
# What is not just a number of expressions; `expressions` has a method for each.
SPECIAL = ("$literal", "$let", "$map", "$filter", "$switch", "$sortArray")
OPERATORS = frozenset((*PLAIN, *NAMED, *SPECIAL))

ACCUMULATORS = frozenset(
    (
        *("$sum", "$avg", "$min", "$max", "$first", "$last", "$push", "$addToSet", "$count"),
        *("$stdDevPop", "$stdDevSamp", "$mergeObjects"),
    )
)
# Inside of $map and $filter, where the same is computed for each element, these alone may look at
# the rest of the document: they stop at what the element is large.
COMPARISONS = frozenset(("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$cmp"))
SYSTEM_VARIABLES = frozenset(("ROOT", "CURRENT", "REMOVE", "NOW"))
