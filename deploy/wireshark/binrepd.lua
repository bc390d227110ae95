-- Shows packets of OpenSIPS's Binary Internal Interface over UDP (BIN, first generation: OpenSIPS 1.10, 1.11, 2.1)
-- in Wireshark and tshark, every field by name.
--
--   try it      tshark -X lua_script:binrepd.lua -r FILE -Y bin -V
--   install it  copy it to the folder of personal Lua plugins (Wireshark: Help, About, Folders)
--
-- Packets are recognized by their marker, on any UDP port. To include those with a damaged marker: -d udp.port==5556,bin
--
-- Filters:
--   bin.dialog.callid == "abc@host"     one call
--   bin.dialog.state == 3               answered, not confirmed yet
--   bin.dialog.var.name == "account"    dialogs with that variable
--   bin.verdict != "dialog"             what binrepd doesn't apply; the words are those of its status
--   bin && _ws.expert                   something is wrong or remarkable
--
-- Bytes of strings that can't be shown are \xNN, as in all of binrepd's output: a\x1b[2J. A filter takes the same text, in
-- which Wireshark wants each backslash twice: bin.dialog.callid == "a\\x1b[2J".
--
-- docs/protocol.md of binrepd describes the format. No state is kept: each packet is checked by itself.

local bin = Proto("bin", "OpenSIPS Binary Internal Interface")

local MARKER = "P4CK"
local MIN_SIZE = 18   -- OpenSIPS ignores shorter packets: header, a name of two letters, command
local MAX_ROUTES = 64 -- beyond it OpenSIPS's receiver writes past an array

-- Checksum: CRC-32/JAMCRC ---------------------------------------------------------------------------------------------

-- Lua 5.2 has bit32. Lua 5.4, used since Wireshark 4.4, has an operator instead, which 5.2 can't parse.
local xor = bit32 and bit32.bxor or load("return function(a, b) return a ~ b end")()
local floor = math.floor

local CRC = {} -- for each byte; the reflected polynomial of Ethernet
for i = 0, 255 do
  local c = i
  for _ = 1, 8 do
    local odd = c % 2 == 1
    c = floor(c / 2)
    if odd then c = xor(c, 0xEDB88320) end
  end
  CRC[i] = c
end

local function checksum(bytes)
  local crc = 0xFFFFFFFF
  for i = 1, #bytes do
    crc = xor(floor(crc / 256), CRC[xor(crc % 256, bytes:byte(i))])
  end
  return crc
end

-- Text ----------------------------------------------------------------------------------------------------------------

-- Characters that are invisible or change how other text looks: C1 and the blanks above ASCII, marks without width or for
-- the writing direction, surrogates, private ones, and those that no character has.
local UNSEEN = {
  { 0x80, 0xa0 }, { 0xad, 0xad }, { 0x34f, 0x34f }, { 0x600, 0x605 }, { 0x61c, 0x61c }, { 0x6dd, 0x6dd }, { 0x70f, 0x70f },
  { 0x115f, 0x1160 }, { 0x1680, 0x1680 }, { 0x17b4, 0x17b5 }, { 0x180b, 0x180e }, { 0x2000, 0x200f }, { 0x2028, 0x202f },
  { 0x205f, 0x206f }, { 0x3000, 0x3000 }, { 0x3164, 0x3164 }, { 0xd800, 0xf8ff }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff },
  { 0xffa0, 0xffa0 }, { 0xfff0, 0xffff }, { 0xe0000, 0x10ffff },
}

-- visible returns the length of the UTF-8 character at s[i] if it can be shown, else nil.
local function visible(s, i)
  local first, size, code = s:byte(i), nil, nil
  if first >= 0xc2 and first < 0xe0 then size, code = 2, first - 0xc0
  elseif first >= 0xe0 and first < 0xf0 then size, code = 3, first - 0xe0
  elseif first >= 0xf0 and first < 0xf5 then size, code = 4, first - 0xf0
  else return nil end
  for k = i + 1, i + size - 1 do
    local c = s:byte(k)
    if not c or c < 0x80 or c > 0xbf then return nil end
    code = code * 64 + c - 0x80
  end
  if size == 3 and code < 0x800 or size == 4 and code < 0x10000 then return nil end
  for _, range in ipairs(UNSEEN) do
    if code >= range[1] and code <= range[2] then return nil end
  end
  return size
end

-- shown returns s as text: bytes that can't be shown as \xNN. A backslash becomes \x5c where it would begin such an escape.
local function shown(s)
  if not s:find("[^ -~]") and not s:find("\\x%x%x") then return s end
  local out, i = {}, 1
  while i <= #s do
    local c, size = s:byte(i), 1
    local plain = c >= 0x20 and c <= 0x7e and not (c == 0x5c and s:find("^x%x%x", i + 1))
    if c >= 0x80 then
      size = visible(s, i) or 1
      plain = size > 1
    end
    out[#out + 1] = plain and s:sub(i, i + size - 1) or string.format("\\x%02x", c)
    i = i + size
  end
  return table.concat(out)
end

-- Fields --------------------------------------------------------------------------------------------------------------

local F = {} -- every ProtoField, by its filter name after "bin."

local function text(name, label) F[name] = ProtoField.string("bin." .. name, label) end
local function number(name, label, how, values) F[name] = ProtoField.uint32("bin." .. name, label, how or base.DEC, values) end
local function signed(name, label) F[name] = ProtoField.int32("bin." .. name, label) end
local function moment(name, label) F[name] = ProtoField.absolute_time("bin." .. name, label, base.UTC) end

text("marker", "Marker")
number("checksum", "Checksum", base.HEX)
text("checksum.status", "Checksum status") -- good, bad, big_endian, unverified
text("capability", "Capability")
number("command", "Command")
text("command.name", "Command name")
text("verdict", "Verdict")

local STATES = { [1] = "unconfirmed", [2] = "early", [3] = "answered", [4] = "confirmed", [5] = "ended" }
local FLAGS = {
  { 0x004, "has_bye", "BYE has been seen" },
  { 0x008, "bye_on_timeout", "BYE to both sides at timeout" },
  { 0x010, "initial", "Made for its INVITE" },
  { 0x020, "ping_caller", "Pings the caller" },
  { 0x040, "ping_callee", "Pings the callee" },
  { 0x080, "topology_hiding", "Topology hiding (1.10, 1.11)" },
  { 0x200, "db_deleted", "No longer in the database" },
  { 0x400, "keep_user", "Hiding keeps the user (1.10, 1.11); CSeq enforced (2.1)" },
}

-- The fields of a packet, in order: the name of each field and its type. S: a string. N: a number. I: a signed number.
-- T: a time as a number. O: an object of the sender's C compiler as a string: time_t of 8 or 4 bytes, or int of 4.
local S, N, I, T, O = "string", "number", "integer", "time", "object"
local KEY = { { "callid", S }, { "from_tag", S }, { "to_tag", S } }
local SNAPSHOT = {
  KEY[1], KEY[2], KEY[3], { "from_uri", S }, { "to_uri", S }, { "h_id", N }, { "start_ts", T }, { "state", N },
  { "caller_sock", S }, { "callee_sock", S }, { "caller_cseq", S }, { "callee_cseq", S },
  { "caller_route_set", S }, { "callee_route_set", S }, { "caller_contact", S }, { "callee_contact", S },
  { "mangled_from", S }, { "mangled_to", S }, { "vars", S }, { "profiles", S },
  { "user_flags", N }, { "flags", N }, { "timeout", T }, { "caller_gen_cseq", N }, { "callee_gen_cseq", N },
}
local AOR = { { "domain", S }, { "aor", S } }
local CONTACT = {
  AOR[1], AOR[2], { "contact", S }, { "callid", S }, { "user_agent", S }, { "path", S }, { "attr", S }, { "received", S },
  { "instance", S }, { "expires", O }, { "q", O }, { "sock", S }, { "cseq", I }, { "flags", N }, { "cflags", N },
  { "methods", N }, { "last_modified", O },
}
local GONE = { AOR[1], AOR[2], { "contact", S }, { "callid", S }, { "cseq", I } }
local COMMANDS = {
  dialog = { { "create", SNAPSHOT }, { "update", SNAPSHOT }, { "delete", KEY } },
  ul = { { "aor_insert", AOR }, { "aor_delete", AOR }, { "contact_insert", CONTACT }, { "contact_update", CONTACT },
    { "contact_delete", GONE } },
}

for name, label in pairs({
  callid = "Call-ID", from_tag = "From tag", to_tag = "To tag", from_uri = "From URI", to_uri = "To URI",
  caller_sock = "Socket towards the caller", callee_sock = "Socket towards the callee",
  caller_cseq = "CSeq of the last request to the caller", callee_cseq = "CSeq of the last request to the callee",
  caller_route_set = "Route set to the caller", callee_route_set = "Route set to the callee",
  caller_contact = "Contact of the caller", callee_contact = "Contact of the callee",
  mangled_from = "From URI as the callee sees it", mangled_to = "To URI as the callee sees it",
  vars = "Variables", profiles = "Profiles",
  ["var"] = "Variable", ["var.name"] = "Name", ["var.value"] = "Value",
  profile = "Profile", ["profile.name"] = "Name", ["profile.value"] = "Value",
}) do text("dialog." .. name, label) end
number("dialog.h_id", "Number in its hash bucket", base.DEC_HEX)
number("dialog.state", "State", base.DEC, STATES)
moment("dialog.start_ts", "Start")
moment("dialog.timeout", "Timeout")
number("dialog.user_flags", "User flags", base.HEX)
number("dialog.flags", "Flags", base.HEX)
for _, flag in ipairs(FLAGS) do
  F["dialog.flags." .. flag[2]] = ProtoField.bool("bin.dialog.flags." .. flag[2], flag[3], 32, nil, flag[1])
end
number("dialog.caller_gen_cseq", "CSeq of the proxy's own last request to the caller")
number("dialog.callee_gen_cseq", "CSeq of the proxy's own last request to the callee")

for name, label in pairs({
  domain = "Location table", aor = "Address of record", contact = "Contact", callid = "Call-ID", user_agent = "User-Agent",
  path = "Path", attr = "Attribute", received = "Received from", instance = "Instance", sock = "Socket",
}) do text("ul." .. name, label) end
moment("ul.expires", "Expires")
moment("ul.last_modified", "Last modified")
signed("ul.q", "Q in thousandths")
signed("ul.cseq", "CSeq")
number("ul.flags", "Flags", base.HEX)
number("ul.cflags", "Branch flags", base.HEX)
number("ul.methods", "Methods", base.HEX)

local fields = {}
for _, f in pairs(F) do fields[#fields + 1] = f end
bin.fields = fields

-- Expert information --------------------------------------------------------------------------------------------------

local E, experts = {}, {}
local function declare(severity, group, list)
  for name, label in pairs(list) do
    E[name] = ProtoExpert.new("bin.expert." .. name, label, group, severity)
    experts[#experts + 1] = E[name]
  end
end
-- Errors have the name of their verdict.
declare(expert.severity.ERROR, expert.group.MALFORMED, {
  short = "Shorter than 18 bytes", not_bin = "Wrong marker", bad_capability = "The capability's name is empty or reaches past the end",
  bad_command = "Unknown command", truncated = "A number or a length lies past the end", negative_length = "A length is negative",
  length_past_end = "A string reaches past the end", trailing_bytes = "Bytes are left over", empty_callid = "The Call-ID is empty",
  bad_state = "The state is none of 1 to 5", bad_object = "An object of unknown size", bad_pairs = "Not a list of name#value|",
})
declare(expert.severity.ERROR, expert.group.CHECKSUM, { bad_checksum = "Wrong checksum" })
declare(expert.severity.WARN, expert.group.PROTOCOL, {
  big_endian = "From a big-endian sender: OpenSIPS and binrepd refuse it on this side of the world",
  misread_pairs = "A backslash directly before # or |: OpenSIPS reads this list wrongly",
  many_routes = "More than 64 routes: an OpenSIPS receiver corrupts its memory",
})
declare(expert.severity.NOTE, expert.group.UNDECODED, {
  other_capability = "A capability that this dissector doesn't know", unverified = "The capture cut this packet: checksum not verified",
})
declare(expert.severity.NOTE, expert.group.SEQUENCE, {
  set_up = "A call that is being set up", ended = "A snapshot of a dialog that has ended",
})
bin.experts = experts

-- Lists of variables and profiles -------------------------------------------------------------------------------------

-- pairs_of walks list, name#value| with a backslash before each \ # or | that belongs to a name or value. It calls visit with the
-- offsets of name, of value and of the closing bar, and returns true if all of list is well-formed.
local function pairs_of(list, visit)
  local from, hash, i = 1, nil, 1
  while i <= #list do
    local c = list:sub(i, i)
    if c == "\\" then
      i = i + 1 -- the next character is not a separator
    elseif c == "#" then
      if hash or i == from then return false end
      hash = i
    elseif c == "|" then
      if not hash then return false end
      visit(from, hash + 1, i)
      from, hash = i + 1, nil
    end
    i = i + 1
  end
  return from == #list + 1
end

local function unescape(s) return (s:gsub("\\([\\#|])", "%1")) end

-- misread reports a value or name with a backslash directly before # or |, which OpenSIPS's reader takes for a separator.
local function misread(list)
  local i = 1
  while i <= #list do
    local two = list:sub(i, i + 1)
    if two == "\\\\" and list:find("^\\[#|]", i + 2) then return true end
    i = i + (list:sub(i, i) == "\\" and 2 or 1)
  end
  return false
end

local function add_pairs(item, range, kind)
  local list = range:raw()
  local whole = pairs_of(list, function(name, value, bar)
    local n, v = unescape(list:sub(name, value - 2)), unescape(list:sub(value, bar - 1))
    local pair = item:add(F["dialog." .. kind], range(name - 1, bar - name + 1), shown(n .. " = " .. v))
    pair:add(F["dialog." .. kind .. ".name"], range(name - 1, value - 1 - name), shown(n))
    pair:add(F["dialog." .. kind .. ".value"], range(value - 1, bar - value), shown(v))
  end)
  if not whole then item:add_proto_expert_info(E.bad_pairs) end
  if misread(list) then item:add_proto_expert_info(E.misread_pairs) end
end

-- The walk over the fields --------------------------------------------------------------------------------------------

-- decorate adds the meaning of a field to its item.
local function decorate(name, item, range, value)
  if name == "dialog.vars" then add_pairs(item, range, "var")
  elseif name == "dialog.profiles" then add_pairs(item, range, "profile")
  elseif name == "dialog.caller_route_set" or name == "dialog.callee_route_set" then
    local _, routes = value:gsub("<", "")
    if routes > 0 then item:append_text(" (" .. routes .. " routes)") end
    if routes > MAX_ROUTES then item:add_proto_expert_info(E.many_routes) end
  elseif name == "dialog.flags" then
    for _, flag in ipairs(FLAGS) do item:add(F[name .. "." .. flag[2]], range, value) end
  elseif name == "dialog.start_ts" and value == 0 then item:append_text(" (not answered yet)")
  elseif name == "dialog.state" then
    if value == 1 or value == 2 then item:add_proto_expert_info(E.set_up) end
    if value == 5 then item:add_proto_expert_info(E.ended) end
  elseif name == "ul.expires" and value == 0 then item:append_text(" (never)")
  elseif name == "ul.q" and value == -1 then item:append_text(" (not given)") end
end

-- walk adds the fields of layout, which begin at offset at. It returns their error, or nil, and their values.
-- Numbers are little endian unless big is set. An empty field follows its length and has no bytes.
local function walk(tree, tvb, at, capability, layout, big)
  local values = {}
  local function u32(range) if big then return range:uint() end return range:le_uint() end
  for _, field in ipairs(layout) do
    local name, kind = capability .. "." .. field[1], field[2]
    local left = tvb:len() - at
    if left < 4 then return "truncated", values end
    local range, value, item = tvb(at, 4), nil, nil
    at = at + 4
    if kind == S or kind == O then
      local size = u32(range)
      if size > left - 4 then return size >= 0x80000000 and "negative_length" or "length_past_end", values end
      range, at = tvb(at, size), at + size
    end
    if kind == S then
      value = range:len() > 0 and range:raw() or ""
      item = tree:add(F[name], range, shown(value))
    elseif kind == O then
      if range:len() == 4 then value = big and range:int() or range:le_int()
      elseif range:len() == 8 and field[1] ~= "q" then value = (big and range:int64() or range:le_int64()):tonumber()
      else
        tree:add_proto_expert_info(E.bad_object, field[1] .. ": an object of " .. range:len() .. " bytes")
      end
      if value then item = tree:add(F[name], range, field[1] == "q" and value or NSTime.new(value)) end
    else
      value = u32(range)
      if kind == I and value >= 0x80000000 then value = value - 0x100000000 end
      item = tree:add(F[name], range, kind == T and NSTime.new(value) or value)
    end
    values[field[1]] = value
    if item and value ~= "" then decorate(name, item, range, value) end
  end
  if at < tvb:len() then return "trailing_bytes", values end
  return nil, values
end

-- body adds everything after the checksum. It returns its error, or nil, a line for the list of packets, and the
-- capability if its layout is known.
local function body(tree, tvb, big)
  local size = big and tvb(8, 4):uint() or tvb(8, 4):le_uint()
  if size == 0 or size > tvb:len() - 12 then return "bad_capability", "no capability" end
  local capability = tvb(12, size):raw()
  tree:add(F.capability, tvb(12, size), shown(capability))
  local at = 12 + size
  if tvb:len() < at + 4 then return "truncated", capability end
  local number = big and tvb(at, 4):uint() or tvb(at, 4):le_uint()
  local item = tree:add(F.command, tvb(at, 4), number)
  local commands = COMMANDS[capability]
  if not commands then
    tree:add_proto_expert_info(E.other_capability)
    return "other_capability", shown(capability) .. " command " .. number
  end
  local command = commands[number]
  if not command then return "bad_command", capability .. " command " .. number, capability end
  item:append_text(" (" .. command[1] .. ")")
  tree:add(F["command.name"], tvb(at, 4), command[1]):set_generated()

  local branch = tree:add(tvb(at + 4), capability .. " " .. command[1])
  local fault, values = walk(branch, tvb, at + 4, capability, command[2], big)
  if not fault and capability == "dialog" then
    if values.state and not STATES[values.state] then fault = "bad_state"
    elseif values.callid == "" then fault = "empty_callid" end
  end
  local line = capability .. " " .. command[1] .. "  " .. shown(values.callid or values.aor or "")
  if STATES[values.state] then line = line .. "  " .. STATES[values.state] end
  return fault, line, capability
end

-- judge adds the whole packet and returns the verdict of binrepd: the first error, or otherwise the kind of packet.
local function judge(tree, tvb)
  if tvb:len() < MIN_SIZE then return "short", "short" end
  local whole = tvb:len() == tvb:reported_len()
  tree:add(F.marker, tvb(0, 4), shown(tvb(0, 4):raw()))
  if tvb(0, 4):raw() ~= MARKER then return "not_bin", "wrong marker" end

  local covered = tvb(8):raw()
  local want = checksum(covered)
  local item = tree:add_le(F.checksum, tvb(4, 4))
  local status, big = "good", false
  if not whole then
    status = "unverified"
    item:add_proto_expert_info(E.unverified)
  elseif tvb(4, 4):le_uint() ~= want then
    local size = tvb(8, 4):uint()
    big = tvb(4, 4):uint() == want and size > 0 and size <= tvb:len() - 12
    status = big and "big_endian" or "bad"
    item:append_text(string.format(" (should be 0x%08x)", want))
  end
  tree:add(F["checksum.status"], tvb(4, 4), status):set_generated()

  local fault, line, capability = body(tree, tvb, big)
  if status == "bad" then return "bad_checksum", line end
  if big then return "big_endian", line end
  if capability == "ul" then
    if fault then tree:add_proto_expert_info(E[fault]) end
    return "other_capability", line -- binrepd keeps no registrations
  end
  if fault then return fault, line end
  return "dialog", line
end

function bin.dissector(tvb, pinfo, root)
  pinfo.cols.protocol = "BIN"
  local tree = root:add(bin, tvb())
  local verdict, line = judge(tree, tvb)
  local item = tree:add(F.verdict, tvb(0, 0), verdict)
  item:set_generated()
  if verdict ~= "dialog" and verdict ~= "other_capability" then
    item:add_proto_expert_info(E[verdict])
    line = line .. "  [" .. verdict .. "]"
  end
  tree:append_text(": " .. line)
  pinfo.cols.info = line
  return tvb:len()
end

bin:register_heuristic("udp", function(tvb, pinfo, root)
  if tvb:len() < 4 or tvb(0, 4):raw() ~= MARKER then return false end
  bin.dissector(tvb, pinfo, root)
  return true
end)
DissectorTable.get("udp.port"):add_for_decode_as(bin)
