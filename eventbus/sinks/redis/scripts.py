"""The scripts that Redis runs for a batch, one for each mode.

Each gives, for each target that failed, the index of the first message that it did not take, and the error;
what comes behind that on the same target was not tried. All keys are named as keys, as Redis Cluster and ACLs
demand. `pcall` keeps a failure of one target from the others, and from undoing nothing: scripts do not roll
back.
"""

from __future__ import annotations

from typing import Final

__all__ = ["APPEND", "CACHE", "CLAIM", "COMMIT_TO_LISTS", "COMMIT_TO_STREAMS", "PUBLISH", "PUSH"]

_FAILING: Final = """\
local failures, failed = {}, {}
local function fails(target, index, reply)
    if type(reply) == 'table' and reply.err then
        failed[target] = true
        failures[#failures + 1] = index
        failures[#failures + 1] = reply.err
        return true
    end
end
"""

_AGE_TO_ID: Final = """\
if trim == 'MINID' then
    local now = redis.call('TIME')
    limit = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000) - limit)
end
"""

APPEND: Final = (
    _FAILING
    + """\
local trim, how, limit, asked = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == 'asked'
local groups, first = tonumber(ARGV[5]), tonumber(ARGV[5]) + 6
"""
    + _AGE_TO_ID
    + """\
local function prepare(key)
    if not asked and redis.call('EXISTS', key) == 1 then return end
    for i = 6, first - 1 do
        local reply = redis.pcall('XGROUP', 'CREATE', key, ARGV[i], '0', 'MKSTREAM')
        if reply.err and not string.find(reply.err, 'BUSYGROUP') then return reply end
    end
end
local prepared = {}
for i = first, #ARGV, 3 do
    local number, id, event, index = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2], (i - first) / 3
    if groups > 0 and not prepared[number] then
        prepared[number] = true
        fails(number, index, prepare(KEYS[number]))
    end
    if failed[number] then
    elseif trim == '' then
        fails(number, index, redis.pcall('XADD', KEYS[number], '*', 'id', id, 'event', event))
    else
        fails(number, index,
            redis.pcall('XADD', KEYS[number], trim, how, limit, '*', 'id', id, 'event', event))
    end
end
return failures
"""
)
"""ARGV: MAXLEN, MINID or nothing; = or ~; entries or milliseconds; whether groups may be missing in streams
that are there; how many groups, and their names; then for each message its stream's number, id and event."""

PUSH: Final = (
    _FAILING
    + """\
local maxlen, last = ARGV[1], {}
for i = 2, #ARGV, 2 do
    local number, index = tonumber(ARGV[i]), (i - 2) / 2
    if not failed[number] then
        last[number] = index
        fails(number, index, redis.pcall('RPUSH', KEYS[number], ARGV[i + 1]))
    end
end
if maxlen ~= '' then
    for number = 1, #KEYS do
        if not failed[number] then
            fails(number, last[number], redis.pcall('LTRIM', KEYS[number], '-' .. maxlen, '-1'))
        end
    end
end
return failures
"""
)
"""ARGV: entries that a list keeps or nothing; then for each message the number of its list, and the event."""

PUBLISH: Final = (
    _FAILING
    + """\
for i = 1, #ARGV, 2 do
    if not failed[ARGV[i]] then
        fails(ARGV[i], (i - 1) / 2, redis.pcall('PUBLISH', ARGV[i], ARGV[i + 1]))
    end
end
return failures
"""
)
"""ARGV: for each message the channel and the event. Channels are no keys."""

CACHE: Final = (
    _FAILING
    + """\
local ttl, marker_ttl = tonumber(ARGV[1]), tonumber(ARGV[2])
local function is_before(one, other)  -- by bytes, in whatever locale the server runs
    for i = 1, math.min(#one, #other) do
        local left, right = string.byte(one, i), string.byte(other, i)
        if left ~= right then return left < right end
    end
    return #one < #other
end
local function remember(guard, token, life)
    if life == 0 then return redis.pcall('SET', guard, token) end
    return redis.pcall('SET', guard, token, 'PX', life)
end
local function set(key, content)
    if ttl == 0 then return redis.pcall('SET', key, content) end
    return redis.pcall('SET', key, content, 'PX', ttl)
end
local function set_fields(key, content)
    local fields, reply = cjson.decode(content), redis.pcall('UNLINK', key)
    for i = 1, #fields, 1000 do
        reply = redis.pcall('HSET', key, unpack(fields, i, math.min(i + 999, #fields)))
        if type(reply) == 'table' and reply.err then return reply end
    end
    if ttl > 0 then return redis.pcall('PEXPIRE', key, ttl) end
    return reply
end
local function write(key, guard, index, token, kind, content)
    if kind == 'delete' then  -- first what frees memory, so that a server which is full can do it
        if not fails(key, index, redis.pcall('UNLINK', key)) then
            fails(key, index, remember(guard, token, marker_ttl))
        end
    elseif not fails(key, index, remember(guard, token, ttl > 0 and ttl + marker_ttl or 0)) then
        fails(key, index, kind == 'set' and set(key, content) or set_fields(key, content))
    end
end
for i = 3, #ARGV, 3 do
    local token, kind, content, index = ARGV[i], ARGV[i + 1], ARGV[i + 2], (i - 3) / 3
    local key, guard = KEYS[2 * index + 1], KEYS[2 * index + 2]
    if not failed[key] then
        local known = redis.pcall('GET', guard)
        if not fails(key, index, known) and not (known and is_before(token, known)) then
            write(key, guard, index, token, kind, content)
        end
    end
end
return failures
"""
)
"""KEYS: for each message its key, and the key that remembers the token of the change which wrote it last.
ARGV: milliseconds that an entry lives, 0 for ever; milliseconds that its token is known after that; then for
each message its token; set, hash or delete; the value, or a JSON list of fields and values in turn.

A change before the known one changes nothing. An equal one writes again: it is the same one, repeated after
an answer that was lost, perhaps in the middle of the script."""

CLAIM: Final = """\
local held = redis.call('HMGET', KEYS[1], 'epoch', 'position')
if held[1] and tonumber(held[1]) > tonumber(ARGV[1]) then return {'fenced', held[1]} end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1])
return {'claimed', held[2]}
"""
"""KEYS: where the position is. ARGV: the epoch of the lease. It gives the position."""

_COMMIT: Final = """\
local epoch, position, before, kind = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local held = redis.call('HMGET', KEYS[1], 'epoch', 'position')
if held[1] and tonumber(held[1]) > tonumber(epoch) then return {'fenced', held[1]} end
if held[2] == position then return {'done'} end
if held[1] ~= epoch or (held[2] or '') ~= before then return {'moved'} end
local strange = {'strange'}
for i = 2, #KEYS do
    local found = redis.call('TYPE', KEYS[i]).ok
    if found ~= 'none' and found ~= kind then strange[#strange + 1] = i - 1 end
end
if #strange > 1 then return strange end
redis.call('HSET', KEYS[1], 'epoch', epoch)
"""
"""KEYS: where the position is, and the targets. ARGV: the epoch that was claimed; the position; the one that
it follows, or nothing; the type of the targets; then as `APPEND` or `PUSH` has it.

It writes nothing if another position is there: the server has lost what came after that, or the call is so
late that others have come after it. Nor does it if a target is of another type: it gives their numbers. It
does not catch errors: at the first write nothing is to be undone, later ones have none. Before any message it
makes each kind of write once that comes after them, changing nothing, so that a missing right shows there."""

_DONE: Final = """\
redis.call('HSET', KEYS[1], 'epoch', epoch, 'position', position)
return {'done'}
"""

COMMIT_TO_STREAMS: Final = (
    _COMMIT
    + """\
local trim, how, limit = ARGV[5], ARGV[6], ARGV[7]
local groups = tonumber(ARGV[9])
"""
    + _AGE_TO_ID
    + """\
for i = 2, groups > 0 and #KEYS or 1 do
    if redis.call('EXISTS', KEYS[i]) == 0 then
        for group = 10, 9 + groups do
            redis.call('XGROUP', 'CREATE', KEYS[i], ARGV[group], '0', 'MKSTREAM')
        end
    end
end
for i = 10 + groups, #ARGV, 3 do
    local key = KEYS[tonumber(ARGV[i]) + 1]
    if trim == '' then
        redis.call('XADD', key, '*', 'id', ARGV[i + 1], 'event', ARGV[i + 2])
    else
        redis.call('XADD', key, trim, how, limit, '*', 'id', ARGV[i + 1], 'event', ARGV[i + 2])
    end
end
"""
    + _DONE
)

COMMIT_TO_LISTS: Final = (
    _COMMIT
    + """\
local maxlen = ARGV[5]
for i = 2, maxlen ~= '' and #KEYS or 1 do redis.call('LTRIM', KEYS[i], '0', '-1') end
for i = 6, #ARGV, 2 do redis.call('RPUSH', KEYS[tonumber(ARGV[i]) + 1], ARGV[i + 1]) end
for i = 2, maxlen ~= '' and #KEYS or 1 do redis.call('LTRIM', KEYS[i], '-' .. maxlen, '-1') end
"""
    + _DONE
)
