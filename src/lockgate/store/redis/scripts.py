"""The scripts that run inside Redis. None of them knows a rule: what may be written is judged in Python."""

from __future__ import annotations

import hashlib
from typing import Final

_GUARD: Final = """
local version = redis.call('HGET', KEYS[1], 'v') or ''
if version ~= ARGV[1] then return 0 end
local at = 2
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, last))
  at = last + 1
end
return 1
"""


class LuaScript:
    """One of them.

    Attributes:
        digest: Under which Redis knows it.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def call(
        self, keys: tuple[str, ...], *arguments: str | bytes | int | float
    ) -> tuple[str | bytes | int | float, ...]:
        """The command that runs it."""
        return "EVALSHA", self.digest, len(keys), *keys, *arguments


#: Runs commands if a stream still has the version that they were made for, and nothing otherwise.
#: Keys: its state, and all others in the commands. Arguments: the version, empty if there should be no such stream;
#: then each command after the number of its words. Answers 1, or 0 if it is another one.
GUARDED: Final = LuaScript(f"#!lua\n{_GUARD}")
#: The same for commands that only delete: they run also where Redis is full.
GUARDED_DELETION: Final = LuaScript(f"#!lua flags=allow-oom\n{_GUARD}")

#: A stream and some of its producers, at one moment.
#: Keys: state, producers. Arguments: names. Answers version, state, and a list with what each producer pushed.
LOAD: Final = LuaScript("""#!lua flags=no-writes
local found = redis.call('HMGET', KEYS[1], 'v', 's')
found[3] = {}
if #ARGV > 0 then found[3] = redis.call('HMGET', KEYS[2], unpack(ARGV)) end
return found
""")

#: A stream, and appends from a record on.
#: Keys: state, records. Arguments: number of the record, most bytes, most records. Answers state, appends, and whether
#: these go on to the tail. The bytes of the first append do not count: the reader may have it already.
READ: Final = LuaScript("""#!lua flags=no-writes
local state = redis.call('HGET', KEYS[1], 's')
if not state then return {} end
local rows, size, count, is_all = {}, 0, 0, 0
local from = ARGV[1] .. '-0'
repeat
  local some = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', 50)
  is_all = #some < 50 and 1 or 0
  for at, row in ipairs(some) do
    rows[#rows + 1] = row
    if #rows > 1 then size = size + #row[2][6] end
    count = count + 1 + #row[2][4] / 4
    if size > tonumber(ARGV[2]) or count > tonumber(ARGV[3]) then
      if at < #some then is_all = 0 end
      return {state, rows, is_all}
    end
    from = '(' .. row[1]
  end
until is_all == 1
return {state, rows, 1}
""")

#: Where an append ended. Keys: records. Arguments: epoch, its number there, how many appends to look at. Answers the
#: number of its last record.
FIND: Final = LuaScript("""#!lua flags=no-writes
for _, row in ipairs(redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', ARGV[3])) do
  local records, epoch = string.match(row[1], '(%d+)-(%d+)')
  if epoch == ARGV[1] and row[2][2] == ARGV[2] then return records end
end
return false
""")

#: The owners in a list by owner. Keys: the list.
OWNERS: Final = LuaScript("""#!lua flags=no-writes
local owners, from = {}, '-'
while true do
  local found = redis.call('ZRANGE', KEYS[1], from, '+', 'BYLEX', 'LIMIT', 0, 1)
  if #found == 0 then return owners end
  local owner = string.match(found[1], '^(.-)%z')
  owners[#owners + 1] = owner
  from = '(' .. owner .. '\\1'
end
""")

#: One beat of a node. Keys: beats, clock. Arguments: node, what its clock shows, then nodes to forget, each with the
#: count that it had. Answers the clock, and node and count of each that is known.
BEAT: Final = LuaScript("""#!lua
redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
for at = 3, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[at]) == ARGV[at + 1] then redis.call('HDEL', KEYS[1], ARGV[at]) end
end
if tonumber(ARGV[2]) > tonumber(redis.call('GET', KEYS[2]) or 0) then redis.call('SET', KEYS[2], ARGV[2]) end
return {redis.call('GET', KEYS[2]), redis.call('HGETALL', KEYS[1])}
""")

ALL: Final = (GUARDED, GUARDED_DELETION, LOAD, READ, FIND, OWNERS, BEAT)
