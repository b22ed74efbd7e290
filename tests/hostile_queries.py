"""Queries of somebody who means harm, or slipped: each with the code and the place it is refused.

A pointer is relative to the filter or pipeline.
"""

OID = "59a47286cfa9a3a73e51e72c"
# ruff: noqa: E501 -- one case a line
V, P, S, C, T = (
    "validation_failed",
    "operator_not_allowed",
    "stage_not_allowed",
    "query_too_complex",
    "type_not_allowed",
)


def nested(levels, inner, wrap):
    """Return a value wrapped in itself some times."""
    for _ in range(levels):
        inner = wrap(inner)
    return inner


FILTERS = [
    # not a filter
    (V, "", None), (V, "", []), (V, "", "a"), (V, "", 1), (V, "", True), (V, "", [{"a": 1}]),
    # JavaScript, other collections, what is not on the list
    (P, "/$where", {"$where": "while(true){}"}),
    (P, "/$and/0/$where", {"$and": [{"$where": "1"}]}),
    (P, "/$or/1/$nor/0/$where", {"$or": [{"a": 1}, {"$nor": [{"$where": "1"}]}]}),
    (P, "/a/$where", {"a": {"$where": "1"}}),
    (P, "/a/$not/$where", {"a": {"$not": {"$where": "1"}}}),
    (P, "/a/$elemMatch/$where", {"a": {"$elemMatch": {"$where": "1"}}}),
    (P, "/a/$elemMatch/$or/0/$where", {"a": {"$elemMatch": {"$or": [{"$where": "1"}]}}}),
    (P, "/$expr", {"$expr": {"$function": {"body": "1", "args": [], "lang": "js"}}}),
    (P, "/$expr", {"$expr": {"$eq": ["$_meta.by", "user:1"]}}),
    (P, "/$jsonSchema", {"$jsonSchema": {}}),
    (P, "/$text", {"$text": {"$search": "a"}}),
    (P, "/$comment", {"$comment": "a"}),
    (P, "/a/$near", {"a": {"$near": [0, 0]}}),
    (P, "/a/$geoWithin", {"a": {"$geoWithin": {"$box": [[0, 0], [1, 1]]}}}),
    (P, "/a/$bitsAllSet", {"a": {"$bitsAllSet": 1}}),
    (P, "/a/$gtee", {"a": {"$gtee": 1}}),
    (P, "/a/$GT", {"a": {"$GT": 1}}),
    (P, "/$eq", {"$eq": 1}), (P, "/$not", {"$not": {"a": 1}}), (P, "/$gt", {"$gt": ""}),
    (P, "/a/$or", {"a": {"$or": [{"$gt": 1}]}}),
    (P, "/a/$", {"a": {"$": 1}}), (P, "/$", {"$": 1}),
    # smuggled in what Extended JSON would turn into something else
    (V, "/a", {"a": {"$oid": {"$where": "1"}}}), (V, "/a", {"a": {"$oid": {"$gt": ""}}}),
    (P, "/a/$where", {"a": {"$oid": OID, "$where": "1"}}),
    (P, "/a/$oid", {"a": {"$oid": OID, "$gt": 1}}),
    (V, "/a", {"a": {"$date": {"$where": "1"}}}),
    (V, "/a", {"a": {"$date": {"$numberLong": {"$ne": 1}}}}),
    (V, "/a", {"a": {"$date": {"$numberLong": "1", "$where": "1"}}}),
    (V, "/a", {"a": {"$date": "never"}}), (V, "/a", {"a": {"$date": "2020-01-01"}}),
    (V, "/a", {"a": {"$uuid": {"$regex": ".*"}}}), (V, "/a", {"a": {"$numberDecimal": []}}),
    (V, "/a", {"a": {"$numberLong": "9223372036854775808"}}),
    (V, "/a", {"a": {"$binary": {"base64": {"$ne": 1}, "subType": "00"}}}),
    (V, "/a", {"a": {"$oid": OID, "b": 1}}), (V, "/a", {"a": {"$numberInt": 1}}),
    (V, "/a/$eq/$gt", {"a": {"$eq": {"$gt": ""}}}), (V, "/_id/$eq/$eq", {"_id": {"$eq": {"$eq": 1}}}),
    (V, "/a/$in/0/$gt", {"a": {"$in": [{"$gt": ""}]}}),
    (V, "/a/$ne/b/$where", {"a": {"$ne": {"b": {"$where": "1"}}}}),
    (V, "/a/b/$gt", {"a": {"b": {"$gt": 1}}}), (V, "/a/b/$where", {"a": {"b": {"$where": "1"}}}),
    (V, "/a/0/$where", {"a": [{"$where": "1"}]}),
    (V, "/a/b", {"a": {"$gt": 1, "b": 1}}), (V, "/a/b", {"a": {"$eq": 1, "b": 1}}),
    (T, "/a", {"a": {"$code": "1"}}), (T, "/a", {"a": {"$code": "1", "$scope": {}}}),
    (T, "/a/$eq", {"a": {"$eq": {"$code": "1"}}}), (T, "/a/$in/1", {"a": {"$in": [1, {"$regex": "a"}]}}),
    (T, "/a", {"a": {"$regularExpression": {"pattern": "(a+)+$", "options": ""}}}),
    (T, "/a/$ne", {"a": {"$ne": {"$regularExpression": {"pattern": "a", "options": ""}}}}),
    (T, "/a", {"a": {"$ref": "other", "$id": 1}}), (T, "/a", {"a": {"$dbPointer": {}}}),
    (T, "/a", {"a": {"$timestamp": {"t": 1, "i": 1}}}), (T, "/a", {"a": {"$minKey": 1}}),
    (T, "/_id/$gte", {"_id": {"$gte": {"$minKey": 1}}}), (T, "/_id/$lt", {"_id": {"$lt": {"$maxKey": 1}}}),
    (T, "/a", {"a": {"$undefined": True}}), (T, "/a", {"a": {"$symbol": "a"}}),
    # shapes
    (V, "/$or", {"$or": {"a": 1}}), (V, "/$or", {"$or": {"0": {"a": 1}}}), (V, "/$and", {"$and": []}),
    (V, "/$nor", {"$nor": None}), (V, "/$or/0", {"$or": [1]}), (V, "/$or/1", {"$or": [{}, []]}),
    (V, "/$or/0", {"$or": [None]}), (V, "/$and/0", {"$and": ["$where"]}),
    (V, "/a/$not", {"a": {"$not": 1}}), (V, "/a/$not", {"a": {"$not": {}}}),
    (V, "/a/$not", {"a": {"$not": []}}), (V, "/a/$not/b", {"a": {"$not": {"b": 1}}}),
    (V, "/a/$in", {"a": {"$in": 1}}), (V, "/a/$in", {"a": {"$in": {"$gt": ""}}}),
    (V, "/a/$nin", {"a": {"$nin": "a"}}), (V, "/a/$all", {"a": {"$all": {}}}),
    (V, "/a/$all/1", {"a": {"$all": [{"$elemMatch": {"b": 1}}, 1]}}),
    (V, "/a/$elemMatch", {"a": {"$elemMatch": 1}}), (V, "/a/$elemMatch", {"a": {"$elemMatch": []}}),
    (V, "/a/$elemMatch/b", {"a": {"$elemMatch": {"$gt": 1, "b": 1}}}),
    (V, "/a/$exists", {"a": {"$exists": 1}}), (V, "/a/$exists", {"a": {"$exists": {"$ne": 1}}}),
    (V, "/a/$type", {"a": {"$type": "text"}}), (V, "/a/$type", {"a": {"$type": 99}}),
    (V, "/a/$type/0", {"a": {"$type": [True]}}), (V, "/a/$type", {"a": {"$type": []}}),
    (V, "/a/$size", {"a": {"$size": -1}}), (V, "/a/$size", {"a": {"$size": 1.5}}),
    (V, "/a/$size", {"a": {"$size": {"$gt": 1}}}), (V, "/a/$size", {"a": {"$size": 2**31}}),
    (V, "/a/$mod/0", {"a": {"$mod": [0, 1]}}), (V, "/a/$mod", {"a": {"$mod": [2]}}),
    (V, "/a/$mod", {"a": {"$mod": [1.5, 1]}}), (V, "/a/$mod", {"a": {"$mod": ["2", 1]}}),
    (V, "/a/$mod", {"a": {"$mod": {"$where": 1}}}), (V, "/a/$mod", {"a": {"$mod": [True, False]}}),
    # regular expressions
    *[(P, "/a/$regex", {"a": {"$regex": each}}) for each in (
        "(a+)+$", "^(a+)+$", "a", "", "^", "^a*", "^a.b", "^a|b", "^[a-z]", "^\\d", "^\\Qa", "^a$",
        "^a\\", "^a{9999}", "^(?i)a", "^\\x00", "^a\0", "\n^a", "^^a", 1, None, ["^a"], {"$ne": 1},
    )],
    (P, "/a/$options", {"a": {"$regex": "^a", "$options": "i"}}),
    (P, "/a/$not/$regex", {"a": {"$not": {"$regex": ".*"}}}),
    (C, "/a/$regex", {"a": {"$regex": "^" + "a" * 257}}),
    # names
    *[(V, f"/{each}", {each: 1}) for each in (
        "a.", ".a", "a..b", "a.$b", "a.$", "a.$[]", "_meta", "_meta.by", "_meta.revision", "_x",
        "__proto__", "_meta.by.a",
    )],
    (V, "/", {"": 1}), (V, "/a\\u0000b", {"a\0b": 1}), (V, "/$and/0/_meta.by", {"$and": [{"_meta.by": 1}]}),
    (V, "/" + "a" * 1025, {"a" * 1025: 1}), (V, "/" + ".".join("a" * 33), {".".join("a" * 33): 1}),
    # bombs
    (C, "", {"a": "x" * 17_000}), (C, "/a/$in", {"a": {"$in": [1] * 1_001}}),
    (C, "/a/$nin", {"a": {"$nin": [1] * 1_001}}), (C, "/a/$all", {"a": {"$all": [1] * 1_001}}),
    (C, "/$and/100/a", {"$and": [{"a": 1}] * 101}), (C, "/a100", {f"a{n}": 1 for n in range(101)}),
    (C, "/$or/0" * 8, nested(8, {"a": 1}, lambda inner: {"$or": [inner]})),
    (C, "/a" + "/$not" * 7, {"a": nested(8, {"$gt": 1}, lambda inner: {"$not": inner})}),
    (C, "/a" + "/$elemMatch/a" * 3 + "/$elemMatch", nested(9, {"a": 1}, lambda inner: {"a": {"$elemMatch": inner}})),
    (V, "/a" + "/0" * 32, {"a": nested(40, 1, lambda inner: [inner])}),
    (C, "/a" + "/0" * 64, {"a": nested(200, 1, lambda inner: [inner])}),
    (C, "/$and/0" * 32 + "/$and", nested(90, {"a": 1}, lambda inner: {"$and": [inner]})),
]  # fmt: skip


def stage(name, value):
    """Return a pipeline of one stage, and where its value is."""
    return [{name: value}]


def computed(expression):
    """Return a pipeline that computes one field."""
    return [{"$set": {"x": expression}}]


X = "/0/$set/x"
PIPELINES = [
    (V, "", None), (V, "", {}), (V, "", "a"), (V, "/0", [1]), (V, "/0", [{}]), (V, "/0", [[]]),
    (V, "/0", [{"$match": {}, "$limit": 1}]), (S, "/0/match", [{"match": {}}]),
    # other collections, writing, the server's own affairs
    *[(S, f"/0/{each}", stage(each, {})) for each in (
        "$lookup", "$graphLookup", "$unionWith", "$out", "$merge", "$collStats", "$indexStats",
        "$currentOp", "$listSessions", "$listLocalSessions", "$planCacheStats", "$changeStream",
        "$geoNear", "$search", "$documents", "$densify", "$fill", "$sample", "$redact",
        "$replaceRoot", "$replaceWith", "$setWindowFields", "$addFields", "$bucketAuto",
        "$_internalInhibitOptimization", "$where", "$function", "$mtch", "$MATCH", "$",
    )],
    (S, "/0/$facet/a/0/$lookup", stage("$facet", {"a": [{"$lookup": {"from": "x", "as": "y"}}]})),
    (S, "/0/$facet/a/1/$out", stage("$facet", {"a": [{"$limit": 1}, {"$out": "x"}]})),
    (S, "/0/$facet/a/0/$facet", stage("$facet", {"a": [{"$facet": {"b": []}}]})),
    (S, "/0/$merge", [{"$match": {}, "$merge": "x"}]),
    (P, "/0/$match/$where", stage("$match", {"$where": "1"})),
    (P, "/0/$match/$expr", stage("$match", {"$expr": {"$function": {}}})),
    (V, "/0/$match/_meta.by", stage("$match", {"_meta.by": "user:1"})),
    (P, "/0/$facet/a/0/$match/$where", stage("$facet", {"a": [{"$match": {"$where": "1"}}]})),
    # JavaScript and other expressions at any depth
    *[(P, f"{X}/{each}", computed({each: {}})) for each in (
        "$function", "$accumulator", "$where", "$regexMatch", "$regexFind", "$regexFindAll",
        "$range", "$reduce", "$zip", "$replaceAll", "$indexOfCP", "$meta", "$rand", "$getField",
        "$setField", "$_internalJsEmit", "$toHashedIndexKey", "$sampleRate", "$ad", "$",
    )],
    (P, f"{X}/$add/1/$function", computed({"$add": [1, {"$function": {"body": "1"}}]})),
    (P, f"{X}/$cond/then/$function", computed({"$cond": {"if": 1, "then": {"$function": 1}, "else": 1}})),
    (P, f"{X}/$let/vars/a/$function", computed({"$let": {"vars": {"a": {"$function": 1}}, "in": 1}})),
    (P, f"{X}/$switch/branches/0/then/$function",
     computed({"$switch": {"branches": [{"case": 1, "then": {"$function": 1}}]}})),
    (P, f"{X}/a/b/0/$function", computed({"a": {"b": [{"$function": 1}]}})),
    (P, "/0/$group/x/$accumulator", stage("$group", {"_id": 1, "x": {"$accumulator": {}}})),
    (P, "/0/$group/_id/a/$function", stage("$group", {"_id": {"a": {"$function": 1}}})),
    (P, "/0/$group/x/$push/$function", stage("$group", {"_id": 1, "x": {"$push": {"$function": 1}}})),
    (P, "/0/$group/x/$sumn", stage("$group", {"_id": 1, "x": {"$sumn": 1}})),
    (P, "/0/$bucket/output/x/$top", stage("$bucket", {"groupBy": "$a", "boundaries": [0, 1], "output": {"x": {"$top": 1}}})),
    (P, "/0/$sortByCount/$function", stage("$sortByCount", {"$function": 1})),
    (P, "/0/$project/x/$function", stage("$project", {"x": {"$function": 1}})),
    # variables and paths
    *[(P, X, computed(each)) for each in (
        "$$USER_ROLES", "$$CLUSTER_TIME", "$$SEARCH_META", "$$JS_SCOPE", "$$IS_MR", "$$this",
        "$$", "$$$", "$$ROO.T", "$$root", "$$PRUNE",
    )],
    *[(V, X, computed(each)) for each in (
        "$", "$.", "$a.", "$a..b", "$a.$b", "$_meta.by", "$$ROOT._meta.by", "$$CURRENT._meta.by.a",
        "$a\0b", "$$ROOT.", "$" + "a" * 2000,
    )],
    (P, f"{X}/$add/1", computed({"$add": [{"$let": {"vars": {"a": 1}, "in": "$$a"}}, "$$a"]})),
    (V, f"{X}/$let/vars/A", computed({"$let": {"vars": {"A": 1}, "in": 1}})),
    (V, f"{X}/$let/vars/ROOT", computed({"$let": {"vars": {"ROOT": 1}, "in": 1}})),
    (V, f"{X}/$map/as", computed({"$map": {"input": "$a", "as": "CURRENT", "in": 1}})),
    (V, f"{X}/$map/wher", computed({"$map": {"input": "$a", "wher": "b", "in": 1}})),
    (V, f"{X}/$map", computed({"$map": {"input": "$a"}})), (V, f"{X}/$let", computed({"$let": 1})),
    # smuggled types
    (T, X, computed({"$code": "1"})), (T, f"{X}/$literal", computed({"$literal": {"$code": "1"}})),
    (V, f"{X}/$literal/$where", computed({"$literal": {"$where": "1"}})),
    (T, X, computed({"$regularExpression": {"pattern": "(a+)+", "options": ""}})),
    (V, X, computed({"$oid": {"$function": 1}})), (V, X, computed({"$add": [1], "$sum": 1})),
    (P, f"{X}/$function", computed({"$oid": OID, "$function": 1})), (V, X, computed({"$date": {}})),
    # shapes
    (V, "/0/$limit", stage("$limit", 0)), (V, "/0/$limit", stage("$limit", 10_001)),
    (V, "/0/$limit", stage("$limit", 1.5)), (V, "/0/$limit", stage("$limit", True)),
    (V, "/0/$limit", stage("$limit", {"$numberLong": "5"})), (V, "/0/$skip", stage("$skip", -1)),
    (V, "/0/$skip", stage("$skip", 2**40)), (V, "/0/$sort", stage("$sort", {})),
    (V, "/0/$sort/a", stage("$sort", {"a": True})), (V, "/0/$sort/a", stage("$sort", {"a": 2})),
    (V, "/0/$sort/a", stage("$sort", {"a": {"$meta": "textScore"}})),
    (V, "/0/$sort/_meta.by", stage("$sort", {"_meta.by": 1})), (V, "/0/$sort/_meta", stage("$sort", {"_meta": 1})),
    (V, "/0/$sort/$a", stage("$sort", {"$a": 1})), (V, "/0/$group", stage("$group", {"x": {"$sum": 1}})),
    (V, "/0/$group/x", stage("$group", {"_id": 1, "x": 1})), (V, "/0/$group/a.b", stage("$group", {"_id": 1, "a.b": {"$sum": 1}})),
    (V, "/0/$group/$x", stage("$group", {"_id": 1, "$x": {"$sum": 1}})), (V, "/0/$count", stage("$count", "")),
    (V, "/0/$count", stage("$count", "a.b")), (V, "/0/$count", stage("$count", "$a")), (V, "/0/$count", stage("$count", 1)),
    (V, "/0/$project", stage("$project", {})), (V, "/0/$project", stage("$project", {"a": 1, "b": 0})),
    (V, "/0/$project/a.b", stage("$project", {"a": 1, "a.b": 1})), (V, "/0/$project/_meta.by", stage("$project", {"_meta.by": 1})),
    (V, "/0/$project/_meta", stage("$project", {"_meta": "$a"})), (V, "/0/$set/_meta", stage("$set", {"_meta": 1})),
    (V, "/0/$set/_meta.rev", stage("$set", {"_meta.rev": 1})), (V, "/0/$set/$a", stage("$set", {"$a": 1})),
    (V, "/0/$unset", stage("$unset", [])), (V, "/0/$unset/0", stage("$unset", [1])), (V, "/0/$unset", stage("$unset", "$a")),
    (V, "/0/$unwind", stage("$unwind", "a")), (V, "/0/$unwind", stage("$unwind", "$$ROOT")),
    (V, "/0/$unwind/path", stage("$unwind", {})), (V, "/0/$unwind/pth", stage("$unwind", {"pth": "$a"})),
    (V, "/0/$unwind/includeArrayIndex", stage("$unwind", {"path": "$a", "includeArrayIndex": "$a"})),
    (V, "/0/$bucket", stage("$bucket", {"groupBy": "$a"})), (V, "/0/$bucket/boundaries", stage("$bucket", {"groupBy": "$a", "boundaries": [1]})),
    (V, "/0/$sortByCount", stage("$sortByCount", "a")), (V, "/0/$sortByCount", stage("$sortByCount", {})),
    (V, "/0/$facet/a", stage("$facet", {"a": {}})), (V, "/0/$facet/$a", stage("$facet", {"$a": []})),
    (V, f"{X}/a.b", computed({"a.b": 1})), (V, f"{X}/", computed({"": 1})),
    (V, f"{X}/$sortArray/sortBy", computed({"$sortArray": {"input": "$a", "sortBy": 0}})),
    (V, f"{X}/$split", computed({"$split": ["$a", "$b"]})), (V, f"{X}/$eq", computed({"$eq": {"$where": 1}})),
    # bombs
    (C, "", [{"$limit": 1}] * 21), (C, "", stage("$match", {"a": "x" * 66_000})),
    (C, "/0/$facet", stage("$facet", {f"a{n}": [] for n in range(11)})), (C, "/0/$facet", stage("$facet", {})),
    (C, "/0/$facet/a", stage("$facet", {"a": [{"$limit": 1}] * 11})),
    (C, "/0/$set/x" + "/$not" * 20, computed(nested(30, "$a", lambda inner: {"$not": inner}))),
    (C, f"{X}/$literal", computed({"$literal": [1] * 600})),
    (C, f"{X}/499", computed([1] * 600)),
    (C, "/2", [{"$set": {"x": ["$x"] * 20}}] * 3), (C, "/1", [{"$set": {"x": {"$concatArrays": ["$x"] * 40}}}] * 2),
    (C, "/9", [{"$set": {"x": "$$ROOT"}}] * 10), (C, "/0", computed({"$let": {"vars": {"a": ["$a"] * 40}, "in": ["$$a"] * 40}})),
    (C, "/2", [{"$group": {"_id": ["$_id"] * 20}}] * 3), (C, "/1/$facet/a/0", [{"$facet": {"a": [{"$set": {"x": ["$x"] * 20}}]}}] * 2),
    (C, f"{X}/$map/in/$map", computed({"$map": {"input": "$a", "in": {"$map": {"input": "$a", "in": 1}}}})),
    (C, f"{X}/$filter/cond/$in/1", computed({"$filter": {"input": "$a", "cond": {"$in": ["$$this", "$a"]}}})),
    (C, f"{X}/$map/in", computed({"$map": {"input": "$a", "in": "$$ROOT"}})), (C, f"{X}/$map/in", computed({"$map": {"input": "$a", "in": "$a"}})),
    (C, f"{X}/$let/in/$map/in", computed({"$let": {"vars": {"b": "$a"}, "in": {"$map": {"input": "$a", "in": "$$b"}}}})),
    (C, f"{X}/$split", computed({"$split": ["$a", "x" * 101]})),
]  # fmt: skip

SORTS = (
    *("", ",", "a,", "-", "a,a", "a,-a", "a,b,c,d,e", "_id,a", "$a", "a.$b", "a..b", ".a"),
    *("_meta", "_meta.by", "-_meta.by", "_x", "_id.k", "a\0", "a" * 1025, ".".join("a" * 33)),
)
FIELDS = (
    *("", ",", "a,-b", "-a,b", "a,a", "a,a.b", "a.b,a", "-a,-a.b", "-_id", "-_meta", "_meta.by"),
    *("$a", "a.$", "a.$[]", "_x", "_id.k", "a..b", "a\0", ",".join(f"a{n}" for n in range(101))),
    *("-_meta.rev", "a.b.c,a.b", "$$ROOT"),
)
# As (name, value), with the code.
SIMPLE = (
    *[("unknown_parameter", each, "1") for each in ("limt", "cursr", "sorts", "filtr", "Limit")],
    *[("unknown_parameter", each, "1") for each in ("age__gtt", "a__where", "a__regex", "__proto__")],
    *[("unknown_parameter", each, "1") for each in ("$where", "_meta.by", "a..b", "a.$b__gt", "_x")],
    *[("invalid_parameter", "a", each) for each in ("1e400", "-1e999", "9223372036854775808")],
    *[("invalid_parameter", "a", each) for each in ('{"$where": "1"}', '{"$gt": ""}', "{}", "{", '"')],
    *[("invalid_parameter", "a", each) for each in ('{"$oid": {"$gt": ""}}', '{"$code": "1"}', "oid:x")],
    *[("invalid_parameter", "a", each) for each in ("uuid:1", "int:1.5", "date:no", "decimal:x")],
    *[("invalid_parameter", "a__in", each) for each in ("[", '[{"$where": 1}]', "[1e400]", '["a"]]')],
    *[("invalid_parameter", "a__startswith", each) for each in ("", "a\0", '"')],
    *[("invalid_parameter", "a__exists", each) for each in ("1", "", "yes")],
)  # fmt: skip
