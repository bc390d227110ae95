-- Shows packets of OpenSIPS's Binary Internal Interface (BIN) in Wireshark and tshark, every field by name: those over
-- UDP (first generation: OpenSIPS 1.10, 1.11, 2.1), and those of clusters (second generation: OpenSIPS 2.4 and later)
-- over TCP, and over UDP between binrepd appliances. Of TLS connections Wireshark sees only what it can decrypt.
--
--   try it      tshark -X lua_script:binrepd.lua -r FILE -Y bin -V
--   install it  copy it to the folder of personal Lua plugins (Wireshark: Help, About, Folders)
--
-- Packets are recognized by their marker, on any port. To include those with a damaged marker: -d udp.port==5556,bin
-- A connection that a capture begins in the middle of a packet of: -d tcp.port==5566,bin_tcp
--
-- Filters:
--   bin.dialog.callid == "abc@host"     one call
--   bin.dialog.state == 3               answered, not confirmed yet
--   bin.dialog.var.name == "account"    dialogs with that variable
--   bin.verdict != "dialog"             what binrepd doesn't apply; the words are those of its status
--   bin && _ws.expert                   something is wrong or remarkable
--   bin.node.source == 2                what node 2 of a cluster said, also through another node
--   bin.command.name == "PING"          messages of the cluster, by OpenSIPS's names; "SYNC" has dialogs
--
-- Bytes of strings that can't be shown are \xNN, as in all of binrepd's output: a\x1b[2J. A filter takes the same text, in
-- which Wireshark wants each backslash twice: bin.dialog.callid == "a\\x1b[2J".
--
-- docs/protocol.md of binrepd describes the format. No state is kept: each packet is checked by itself.

local bin = Proto("bin", "OpenSIPS Binary Internal Interface")
local bin_tcp = Proto("bin_tcp", "OpenSIPS Binary Internal Interface over TCP")

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
  ["var"] = "Variable", ["var.name"] = "Name", ["var.type"] = "Type", ["var.value"] = "Value",
  profile = "Profile", ["profile.name"] = "Name", ["profile.type"] = "Type", ["profile.value"] = "Value",
  caller_in_sdp = "SDP of the caller as received", caller_out_sdp = "SDP of the caller as sent on",
  callee_in_sdp = "SDP of the callee as received", callee_out_sdp = "SDP of the callee as sent on",
  caller_adv_contact = "Contact advertised to the caller", callee_adv_contact = "Contact advertised to the callee",
  rt_on_answer = "Route on answer", rt_on_timeout = "Route on timeout", rt_on_hangup = "Route on hangup",
  layout = "Layout", tag = "Sharing tag",
}) do text("dialog." .. name, label) end
number("dialog.h_id", "Number in its hash bucket", base.DEC_HEX)
number("dialog.state", "State", base.DEC, STATES)
moment("dialog.start_ts", "Start")
moment("dialog.timeout", "Timeout")
number("dialog.user_flags", "User flags", base.HEX)
number("dialog.flags", "Flags", base.HEX)
-- Flags of generation 2: most of FLAGS, and more.
local FLAGS2 = {
  FLAGS[1], FLAGS[2], FLAGS[3], FLAGS[4], FLAGS[5], FLAGS[7],
  { 0x400, "cseq_enforce", "CSeq enforced" },
  { 0x800, "reinvite_ping_caller", "Pings the caller by re-INVITE" },
  { 0x1000, "reinvite_ping_callee", "Pings the callee by re-INVITE" },
  { 0x2000, "reinvite_ping_request", "A re-INVITE ping is engaged: request" },
  { 0x4000, "reinvite_ping_reply", "A re-INVITE ping is engaged: reply" },
  { 0x8000, "end_on_race", "Ends if requests race" },
  { 0x10000, "cancelled", "Was cancelled" },
  { 0x20000, "race_occurred", "Requests have raced" },
  { 0x40000, "timeout_extended", "Its timeout extended itself" },
  { 0x100000, "auto_prack", "Answers reliable replies itself (4.0)" },
}
for _, list in ipairs({ FLAGS, FLAGS2 }) do
  for _, flag in ipairs(list) do
    local name = "dialog.flags." .. flag[2]
    F[name] = F[name] or ProtoField.bool("bin." .. name, flag[3], 32, nil, flag[1])
  end
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

number("dialog.mod_flags", "Module flags", base.HEX)
number("dialog.options_ping_interval", "Seconds between OPTIONS pings")
number("dialog.reinvite_ping_interval", "Seconds between re-INVITE pings")
number("dialog.gen_cseq", "CSeq of the proxy's own last request to the leg")

number("length", "Length")
number("version", "Version")
signed("node.cluster", "Cluster")
signed("node.source", "Source node")
signed("node.destination", "Destination node")
signed("node.id", "Node")
signed("node.neighbour", "Neighbour")
signed("node.path", "Passed node")
signed("node.priority", "Priority")
signed("node.retries", "Pings that may stay unanswered")
text("node.url", "URL")
text("node.sip_addr", "SIP address")
signed("cluster.seq", "Sequence number")
moment("cluster.time", "Time of the sequence number")
number("cluster.want_nodes", "Wants the list of nodes")
number("cluster.down", "Link", base.DEC, { [0] = "up", [1] = "down" })
number("cluster.want_reply", "Wants a reply")
number("cluster.count", "Number of entries")
text("cluster.capability", "Capability of a node")
number("cluster.synced", "State", base.DEC, { [0] = "not synced", [1] = "synced" })
text("cluster.tag", "Tag")
text("cluster.message", "Message")
text("cluster.mi_command", "Management command")
text("cluster.mi_parameter", "Parameter")
number("cluster.request", "Message is", base.DEC, { [0] = "a reply", [1] = "a request" })
text("sync.capability", "Capability of the sync")
number("sync.version", "Version of the data")
number("sync.total", "Chunks in all")
number("sync.size", "Size of the chunk")
text("prof.name", "Profile")
text("prof.value", "Value of the profile")
signed("prof.count", "Dialogs in the profile")

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
  bad_packet = "No packet of generation 2: marker, length, name or trailer don't fit", bad_version = "No release sends this version",
  unknown_layout = "The body fits no layout of its version", bad_value_change = "A value without a name, or of no type",
  bad_chunk = "A chunk without its marker, or one that reaches past the end",
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

-- pairs_of walks list, name#value|, or name#type#value| if typed, with a backslash before each \ # or | that belongs to
-- a name or value. It calls visit with the offsets of name, of the "#" behind it, of value and of the closing bar, and
-- returns true if all of list is well-formed.
local function pairs_of(list, typed, visit)
  local from, hash, i, name = 1, nil, 1, nil
  while i <= #list do
    local c = list:sub(i, i)
    if c == "\\" then
      i = i + 1 -- the next character is not a separator
    elseif c == "#" then
      if typed and not name and i > from then name = i
      elseif typed and name and i ~= name + 2 or hash or i == from then return false
      else hash, name = i, name or i end
    elseif c == "|" then
      if not hash then return false end
      visit(from, name, hash + 1, i)
      from, hash, name = i + 1, nil, nil
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

local TYPES = { ["1"] = "string", ["2"] = "integer" } -- of values in typed lists

-- add_pairs shows a list. second: of generation 2, where OpenSIPS is not known to read one wrongly.
local function add_pairs(item, range, kind, typed, second)
  local list = range:raw()
  local whole = pairs_of(list, typed, function(name, hash, value, bar)
    local n, v = unescape(list:sub(name, hash - 1)), unescape(list:sub(value, bar - 1))
    local pair = item:add(F["dialog." .. kind], range(name - 1, bar - name + 1), shown(n .. " = " .. v))
    pair:add(F["dialog." .. kind .. ".name"], range(name - 1, hash - name), shown(n))
    if typed then
      local is = list:sub(hash + 1, hash + 1)
      pair:add(F["dialog." .. kind .. ".type"], range(hash, 1), TYPES[is] or shown(is))
    end
    pair:add(F["dialog." .. kind .. ".value"], range(value - 1, bar - value), shown(v))
  end)
  if not whole then item:add_proto_expert_info(E.bad_pairs) end
  if not second and misread(list) then item:add_proto_expert_info(E.misread_pairs) end
end

-- The walk over the fields --------------------------------------------------------------------------------------------

-- decorate adds the meaning of a field to its item.
local function decorate(name, item, range, value, typed, flags)
  if name == "dialog.vars" then add_pairs(item, range, "var", typed, flags)
  elseif name == "dialog.profiles" then add_pairs(item, range, "profile", typed, flags)
  elseif name == "dialog.caller_route_set" or name == "dialog.callee_route_set" then
    local _, routes = value:gsub("<", "")
    if routes > 0 then item:append_text(" (" .. routes .. " routes)") end
    if routes > MAX_ROUTES then item:add_proto_expert_info(E.many_routes) end
  elseif name == "dialog.flags" then
    for _, flag in ipairs(flags or FLAGS) do item:add(F[name .. "." .. flag[2]], range, value) end
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

-- Generation 2 --------------------------------------------------------------------------------------------------------

-- A reader walks the fields of a body. It raises the name of a verdict if they don't fit. Without a tree it only looks.
local Reader = {}
Reader.__index = Reader

local function reader(tvb, at, stop) return setmetatable({ tvb = tvb, at = at, stop = stop }, Reader) end

local function fail(verdict) error({ verdict = verdict }, 0) end

-- try calls walk and returns nil, or the verdict that it raised.
local function try(walk, ...)
  local ok, err = pcall(walk, ...)
  if ok then return nil end
  if type(err) == "table" then return err.verdict end
  error(err, 0)
end

function Reader:take(size, verdict)
  if self.stop - self.at < size then fail(verdict or "truncated") end
  self.at = self.at + size
  return self.tvb(self.at - size, size)
end

-- int reads a number and shows it as a field: how is "time", "signed", or nil.
function Reader:int(tree, name, how)
  local range = self:take(4)
  local value = how == "signed" and range:le_int() or range:le_uint()
  if not tree then return value end
  local item = tree:add(F[name], range, how == "time" and NSTime.new(value) or value)
  return value, item, range
end

function Reader:node(tree, name) return self:int(tree, name, "signed") end

-- str reads a string: a length of 2 bytes, and so many bytes. An empty one has no bytes.
function Reader:str(tree, name)
  local size = self:take(2):le_uint()
  local range = self:take(size, "length_past_end")
  local value = size > 0 and range:raw() or ""
  if not tree then return value end
  return value, tree:add(F[name], range, shown(value)), range
end

function Reader:done() if self.at ~= self.stop then fail("trailing_bytes") end end

-- list reads a count and calls one for each entry.
function Reader:list(tree, least, one)
  local n = self:int(tree, "cluster.count")
  if n > (self.stop - self.at) / least then fail("truncated") end
  for _ = 1, n do one(self, tree) end
end

local function path(r, tree)
  r:list(tree, 4, function(_, t) r:node(t, "node.path") end)
end

-- Dialogs. The layouts have the fields of ALL in this order; each leaves some out.
local ALL = {
  { "callid", S }, { "from_tag", S }, { "to_tag", S }, { "from_uri", S }, { "to_uri", S }, { "h_id", N }, { "start_ts", T }, { "state", N },
  { "caller_sock", S }, { "callee_sock", S }, { "caller_cseq", S }, { "callee_cseq", S }, { "caller_route_set", S },
  { "callee_route_set", S }, { "caller_contact", S }, { "callee_contact", S }, { "mangled_from", S }, { "mangled_to", S },
  { "caller_in_sdp", S, "sdp2" }, { "caller_out_sdp", S, "sdp4" }, { "callee_in_sdp", S, "sdp2" }, { "callee_out_sdp", S, "sdp4" },
  { "caller_adv_contact", S, "sdp4" }, { "callee_adv_contact", S, "sdp4" }, { "vars", S }, { "profiles", S },
  { "user_flags", N }, { "mod_flags", N }, { "flags", N }, { "options_ping_interval", N, "pings" }, { "reinvite_ping_interval", N, "pings" },
  { "timeout", T }, { "caller_gen_cseq", N }, { "callee_gen_cseq", N },
  { "rt_on_answer", S, "routes" }, { "rt_on_timeout", S, "routes" }, { "rt_on_hangup", S, "routes" },
}
-- Of each version, the latest release first: the name, and the groups of fields that it has.
local LAYOUTS = {
  { { "bin 1 (3.0.0)", sdp2 = true, sdp4 = true }, { "bin 1 (2.4.5)", sdp2 = true }, { "bin 1 (2.4.0)" } },
  { { "bin 2 (3.1.0)", sdp2 = true, sdp4 = true, routes = true }, { "bin 2 (3.0.1)", sdp2 = true, sdp4 = true } },
  { { "bin 3 (3.1.4)", sdp2 = true, sdp4 = true, routes = true } },
  { { "bin 4 (3.4.0)", sdp2 = true, sdp4 = true, routes = true } },
  { { "bin 5 (next)", sdp2 = true, sdp4 = true, routes = true, pings = true } },
}

-- snapshot walks a dialog in one layout, and returns its values.
local function snapshot(r, tree, layout, typed)
  local values = {}
  for _, field in ipairs(ALL) do
    if not field[3] or layout[field[3]] then
      local name = "dialog." .. field[1]
      local value, item, range
      if field[2] == S then value, item, range = r:str(tree, name)
      else value, item, range = r:int(tree, name, field[2]) end
      values[field[1]] = value
      if item and value ~= "" then decorate(name, item, range, value, typed, FLAGS2) end
    end
  end
  r:done()
  if values.state < 1 or values.state > 5 then fail("bad_state") end
  if values.callid == "" then fail("empty_callid") end
  return values
end

-- first_type tells what the first pair of a list looks like: true typed, false untyped, nil neither.
local function first_type(list)
  local first = list:match("^[^|]*|")
  if not first then return nil end
  if pairs_of(first, true, function() end) and first:match("#[12]#") then return true end
  if pairs_of(first, false, function() end) then return false end
  return nil
end

-- dialog shows the dialog from r.at to r.stop in the layout that it fits. It returns its values, or raises.
local function dialog(r, tree, version)
  local layouts = LAYOUTS[version]
  if not layouts then fail("bad_version") end
  local fault
  for _, layout in ipairs(layouts) do
    local values
    fault = try(function() values = snapshot(reader(r.tvb, r.at, r.stop), nil, layout) end)
    if not fault then
      local typed, name = version >= 4, layout[1]
      if version == 4 then
        local is = first_type(values.vars)
        if is == nil then is = first_type(values.profiles) end
        if is == false then typed, name = false, "bin 4 (3.1.6)" end
      end
      tree:add(F["dialog.layout"], r.tvb(r.at, r.stop - r.at), name):set_generated()
      snapshot(r, tree, layout, typed)
      return values
    end
  end
  -- It is shown as far as it goes, in the latest layout.
  try(snapshot, reader(r.tvb, r.at, r.stop), tree, layouts[1], version >= 4)
  fail(#layouts > 1 and "unknown_layout" or fault)
end

local function names(r, tree)
  local callid = r:str(tree, "dialog.callid")
  r:str(tree, "dialog.from_tag")
  r:str(tree, "dialog.to_tag")
  return callid
end

local function checked(r, callid)
  r:done()
  if callid == "" then fail("empty_callid") end
  return { callid = callid }
end

local DIALOG = {}

function DIALOG.DELETED(r, tree, version)
  local callid = names(r, tree)
  if version >= 4 then r:int(tree, "dialog.h_id") end
  return checked(r, callid)
end

function DIALOG.CSEQ(r, tree, version)
  local callid = names(r, tree)
  if version >= 4 then r:int(tree, "dialog.h_id") end
  r:int(tree, "dialog.gen_cseq")
  return checked(r, callid)
end

function DIALOG.VALUE(r, tree)
  local callid = r:str(tree, "dialog.callid")
  r:int(tree, "dialog.h_id")
  local name = r:str(tree, "dialog.var.name")
  local kind = r:int(nil)
  local types = { [0] = "removed", "string", "integer" }
  if not types[kind] then fail("bad_value_change") end
  if tree then tree:add(F["dialog.var.type"], r.tvb(r.at - 4, 4), types[kind]) end
  if kind == 1 then r:str(tree, "dialog.var.value")
  elseif kind == 2 then
    local range = r:take(4)
    if tree then tree:add(F["dialog.var.value"], range, tostring(range:le_int())) end
  end
  local values = checked(r, callid)
  if name == "" then fail("bad_value_change") end
  return values
end

function DIALOG.TAG_ACTIVE(r, tree)
  local tag = r:str(tree, "dialog.tag")
  r:done()
  return { about = tag }
end

function DIALOG.CREATED(r, tree, version) return dialog(r, tree, version) end

DIALOG.UPDATED = DIALOG.CREATED

-- dialog_kind returns which message it is. Versions 1 of 2.4 and of 3.0.0 number theirs differently.
local function dialog_kind(r, version, number)
  if version < 1 or version > 5 then fail("bad_version") end
  if number >= 1 and number <= 3 then return ({ "CREATED", "UPDATED", "DELETED" })[number] end
  if number == 4 and version == 1 and not try(DIALOG.TAG_ACTIVE, reader(r.tvb, r.at, r.stop)) then return "TAG_ACTIVE" end
  if number == 4 or number == 5 and version == 1 then return "CSEQ" end
  if number == 5 and version >= 4 then return "VALUE" end
  fail("bad_command")
end

-- Messages of the clusterer module.
local CLUSTER = {}

function CLUSTER.PING(r, tree)
  r:int(tree, "cluster.want_nodes")
end

function CLUSTER.PONG(r, tree)
  r:list(tree, 4, function(_, t) r:node(t, "node.id") end)
end

local function numbered(r, tree)
  r:int(tree, "cluster.seq", "signed")
  r:int(tree, "cluster.time", "time")
end

function CLUSTER.LS_UPDATE(r, tree)
  numbered(r, tree)
  r:node(tree, "node.neighbour")
  r:int(tree, "cluster.down")
  path(r, tree)
end

-- group returns a branch of the tree for what one calls reads.
local function group(r, tree, label, one)
  local branch = tree and tree:add(r.tvb(r.at, 0), label)
  local from = r.at
  one(branch)
  if branch then branch:set_len(r.at - from) end
end

local function described(r, tree)
  r:str(tree, "node.url")
  r:str(tree, "node.sip_addr")
  r:node(tree, "node.priority")
  r:node(tree, "node.retries")
end

function CLUSTER.FULL_TOP_UPDATE(r, tree)
  numbered(r, tree)
  r:list(tree, 20, function()
    group(r, tree, "Node", function(t)
      r:node(t, "node.id")
      local has = r:int(nil)
      if has == 1 then described(r, t) elseif has ~= 0 then fail("truncated") end
      numbered(r, t)
      r:list(t, 4, function() r:node(t, "node.neighbour") end)
    end)
  end)
  path(r, tree)
end

function CLUSTER.UNKNOWN_ID() end

function CLUSTER.NODE_DESCRIPTION(r, tree)
  described(r, tree)
  path(r, tree)
end

local function capabilities(r, tree, seq)
  if seq then numbered(r, tree) end
  r:list(tree, 8, function()
    group(r, tree, "Node", function(t)
      r:node(t, "node.id")
      r:list(t, 6, function()
        r:str(t, "cluster.capability")
        r:int(t, "cluster.synced")
      end)
    end)
  end)
  if r:int(tree, "cluster.want_reply") > 1 then fail("truncated") end
  path(r, tree)
  r:done()
end

-- Only one of the two forms consumes the body, but for one node without capabilities. Then the time decides: a node's
-- id is a small number.
function CLUSTER.CAP_UPDATE(r, tree)
  local with = try(capabilities, reader(r.tvb, r.at, r.stop), nil, true)
  local without = try(capabilities, reader(r.tvb, r.at, r.stop), nil, false)
  local seq = not with and (without or r.tvb(r.at + 4, 4):le_uint() >= 1000000000)
  capabilities(r, tree, seq or with and without)
end

function CLUSTER.REMOVE_NODE(r, tree) r:node(tree, "node.id") end

function CLUSTER.GENERIC_MSG(r, tree)
  r:int(tree, "cluster.request")
  r:str(tree, "cluster.tag")
  r:str(tree, "cluster.message")
end

function CLUSTER.MI_CMD(r, tree)
  r:str(tree, "cluster.mi_command")
  r:list(tree, 2, function() r:str(tree, "cluster.mi_parameter") end)
end

function CLUSTER.SYNC_REQ(r, tree) return r:str(tree, "sync.capability") end

function CLUSTER.SYNC_END(r, tree, version)
  local capability = r:str(tree, "sync.capability")
  if version > 2 then r:int(tree, "sync.total") end
  return capability
end

function CLUSTER.SHTAG_ACTIVE(r, tree) return r:str(tree, "cluster.tag") end

local CHUNK = "\xb5\x4a\x05\x06" -- 101010101 in front of each chunk

-- unsized returns where a dialog of sync version 1, which has no sizes, ends: where a layout ends and a chunk or nothing
-- follows.
local function unsized(r)
  for _, layout in ipairs(LAYOUTS[1]) do
    local one = reader(r.tvb, r.at, r.stop)
    local fault = try(snapshot, one, nil, layout)
    if not fault then return one.stop end
    if fault == "trailing_bytes" and one.stop - one.at >= 4 and r.tvb(one.at, 4):raw() == CHUNK then return one.at end
  end
  local next = r.stop > r.at and r.tvb(r.at, r.stop - r.at):raw():find(CHUNK, 1, true)
  return next and r.at + next - 1 or r.stop
end

function CLUSTER.SYNC(r, tree, version)
  local capability = r:str(tree, "sync.capability")
  local data = 1
  if version > 1 then data = r:int(tree, "sync.version") end
  local n = 0
  while r.at < r.stop do
    n = n + 1
    local from, stop = r.at, nil
    local branch = tree:add(r.tvb(r.at, 0), "Chunk " .. n)
    if version > 1 then
      local size = r:int(branch, "sync.size")
      if r.stop - r.at < 4 or size > r.stop - r.at - 4 then fail("bad_chunk") end
      stop = r.at + 4 + size
    end
    if r:take(4, "bad_chunk"):raw() ~= CHUNK then fail("bad_chunk") end
    stop = stop or unsized(r)
    branch:set_len(stop - from)
    if capability == "dialog-dlg-repl" then
      local values
      local fault = try(function() values = dialog(reader(r.tvb, r.at, stop), branch, data) end)
      if fault then branch:add_proto_expert_info(E[fault]) else branch:append_text(": " .. shown(values.callid)) end
    end
    r.at = stop
  end
  return capability .. ", " .. n .. " chunks"
end

-- Messages with numbers that have one meaning each. The others depend on the version or the form of the body.
local INTERNAL = {
  [0] = "PING", "PONG", "LS_UPDATE", "FULL_TOP_UPDATE", "UNKNOWN_ID", "NODE_DESCRIPTION", [8] = "CAP_UPDATE", [9] = "CAP_UPDATE",
}
local EXTRA = { [8] = "MI_CMD", [9] = "SYNC_REQ", [13] = "SHTAG_ACTIVE" }

local function fits(name, r, version)
  return not try(function()
    local one = reader(r.tvb, r.at, r.stop)
    CLUSTER[name](one, nil, version)
    one:done()
  end)
end

local function extra_kind(r, version, number)
  if EXTRA[number] then return EXTRA[number] end
  if number == 6 then return r.stop - r.at == 4 and "REMOVE_NODE" or "GENERIC_MSG" end
  if number == 7 then return fits("MI_CMD", r) and not fits("GENERIC_MSG", r) and "MI_CMD" or "GENERIC_MSG" end
  if number == 10 then return fits("SYNC_REQ", r) and "SYNC_REQ" or "SYNC" end
  if number == 11 then return fits("SYNC_END", r, 2) and "SYNC_END" or "SYNC" end
  if number == 12 then return version == 1 and "SHTAG_ACTIVE" or "SYNC_END" end
  fail("bad_command")
end

-- Messages of other capabilities, by name.
local OTHERS = {
  ["usrloc-contact-repl"] = { "AOR_INSERT", "AOR_DELETE", "CONTACT_INSERT", "CONTACT_UPDATE", "CONTACT_DELETE" },
  ["dialog-prof-repl"] = { [4] = "PROFILES" }, ["tm-repl"] = { "REPLY", "REQUEST", "CANCEL" },
  ["ratelimit-pipe-repl"] = { [0] = "PIPES" }, presence = { "PUBLISH", "QUERY" }, pua = { "PUBLISH" },
  ["dispatcher-status-repl"] = { "STATUS" }, ["drouting-status-repl"] = { "GATEWAY", "CARRIER" },
  ["load_balancer-status-repl"] = { "STATUS" }, ["cachedb-local-repl"] = { "INSERT", "REMOVE" },
  ["b2be-entities-repl"] = { "CREATE", "UPDATE", "PARAMETERS", "ACK", "DELETE" },
}

local function profiles(r, tree)
  while r.at < r.stop do
    group(r, tree, "Profile", function(t)
      r:str(t, "prof.name")
      if r:int(nil) == 1 then r:str(t, "prof.value") end
      r:int(t, "prof.count", "signed")
    end)
  end
end

-- content shows the fields of a body. It returns the verdict, the name of the message, and what the message is about.
local function content(r, tree, capability, version, number)
  if capability == "clusterer-internal" then
    local name = INTERNAL[number] or fail("bad_command")
    r:node(tree, "node.cluster")
    local source = r:node(tree, "node.source")
    CLUSTER[name](r, tree, version)
    r:done()
    return "other_capability", name, "of node " .. source
  elseif capability == "clusterer-extra" then
    local name = extra_kind(r, version, number)
    local from = r.at
    local about = CLUSTER[name](r, tree, version)
    r:done()
    local dialogs = name == "SYNC" and reader(r.tvb, from, r.stop):str() == "dialog-dlg-repl"
    return dialogs and "sync" or "other_capability", name, about
  elseif capability == "dialog-dlg-repl" then
    local name = dialog_kind(r, version, number)
    local values = DIALOG[name](r, tree, version)
    local about = values.callid or values.about
    if values.state then about = about .. "  " .. STATES[values.state] end
    return name == "TAG_ACTIVE" and "other_capability" or "dialog", name, about
  end
  local known = OTHERS[capability]
  local name = known and known[number]
  if capability == "dialog-prof-repl" and name then profiles(r, tree)
  elseif capability == "usrloc-contact-repl" and name then
    r:str(tree, "ul.domain")
    r:str(tree, "ul.aor")
    if number >= 3 then r:str(tree, "ul.contact") end
  end
  return "other_capability", name
end

local BRIDGE = 0xc0000000 -- the destination of packets from one cluster to another (4.0)

-- judge2 adds a whole packet of generation 2 and returns its verdict and a line.
local function judge2(tree, tvb)
  local size = tvb:len()
  if size < 8 or tvb(0, 4):raw() ~= MARKER then return "bad_packet", "no packet" end
  tree:add(F.marker, tvb(0, 4), MARKER)
  tree:add_le(F.length, tvb(4, 4))
  if size < 17 then return "bad_packet", "no packet" end
  local stop, version = math.min(size, tvb(4, 4):le_uint()), tvb(8, 2):le_int()
  tree:add(F.version, tvb(8, 2), tvb(8, 2):le_uint())
  local at = 12 + tvb(10, 2):le_uint()
  if at == 12 or at + 4 > stop or stop ~= tvb(4, 4):le_uint() and tvb:reported_len() == size then return "bad_packet", "no packet" end
  local capability = tvb(12, at - 12):raw()
  tree:add(F.capability, tvb(12, at - 12), shown(capability))
  local number = tvb(at, 4):le_int()
  local item = tree:add(F.command, tvb(at, 4), tvb(at, 4):le_uint())
  at = at + 4
  local line = shown(capability) .. " " .. number
  local nodes = ""
  if size < tvb:reported_len() then tree:add_proto_expert_info(E.unverified)
  elseif capability ~= "clusterer-internal" then
    if stop - at < 12 then return "bad_packet", line end
    stop = stop - 12
    local trailer = tree:add(tvb(stop, 12), "Trailer")
    trailer:add_le(F["node.cluster"], tvb(stop, 4))
    trailer:add_le(F["node.source"], tvb(stop + 4, 4))
    trailer:add_le(F["node.destination"], tvb(stop + 8, 4))
    nodes = "  node " .. tvb(stop + 4, 4):le_int() .. " > " .. tvb(stop + 8, 4):le_int()
    if tvb(stop + 8, 4):le_uint() == BRIDGE then
      if stop - at < 4 then return "bad_packet", line end
      stop = stop - 4
    end
  end
  local branch = stop > at and tree:add(tvb(at, stop - at), shown(capability)) or tree
  local verdict, name, about
  local r = reader(tvb, at, stop)
  local fault = try(function() verdict, name, about = content(r, branch, capability, version, number) end)
  if not name then -- the fields didn't fit, or nobody knows the message
    try(function()
      local one = reader(tvb, at, stop)
      if capability == "clusterer-internal" then name = INTERNAL[number]
      elseif capability == "clusterer-extra" then name = extra_kind(one, version, number)
      elseif capability == "dialog-dlg-repl" then name = dialog_kind(one, version, number) end
    end)
  end
  if name then
    item:append_text(" (" .. name .. ")")
    tree:add(F["command.name"], tvb(at - 4, 4), name):set_generated()
    line = shown(capability) .. " " .. name
  end
  line = line .. (about and about ~= "" and "  " .. shown(about) or "") .. nodes
  if fault and capability ~= "dialog-dlg-repl" then -- binrepd doesn't look at these fields
    tree:add_proto_expert_info(E[fault])
    verdict, fault = name == "SYNC" and "sync" or "other_capability", nil
  elseif not fault and not name then tree:add_proto_expert_info(E.other_capability) end
  return fault or verdict, line
end

local GOOD = { dialog = true, other_capability = true, sync = true }

-- generation2 tells a packet of generation 2 in a datagram: it has its size behind the marker, and a name whose length has 2
-- bytes, which are 0 in every packet of generation 1.
local function generation2(tvb)
  return tvb:len() >= 17 and tvb(0, 4):raw() == MARKER and tvb(4, 4):le_uint() == tvb:reported_len() and tvb(10, 2):le_uint() ~= 0
end

-- present adds the tree of one packet, and returns the line for the list.
local function present(tvb, root, judge_it)
  local tree = root:add(bin, tvb())
  local verdict, line = judge_it(tree, tvb)
  local item = tree:add(F.verdict, tvb(0, 0), verdict)
  item:set_generated()
  if not GOOD[verdict] then
    item:add_proto_expert_info(E[verdict])
    line = line .. "  [" .. verdict .. "]"
  end
  tree:append_text(": " .. line)
  return line
end

function bin.dissector(tvb, pinfo, root)
  pinfo.cols.protocol = "BIN"
  pinfo.cols.info = present(tvb, root, generation2(tvb) and judge2 or judge)
  return tvb:len()
end

-- Over TCP. A packet may begin anywhere in a segment and end in a later one.

local first = true -- whether the packet is the first of its segment

local function packet_length(tvb, _, at)
  local size = tvb(at + 4, 4):le_uint()
  if tvb(at, 4):raw() ~= MARKER or size < 17 or size > 65535 then return tvb:len() - at end -- all that is left
  return size
end

local function packet(tvb, pinfo, root)
  local line = present(tvb, root, judge2)
  if first then pinfo.cols.info = line else pinfo.cols.info:append("; " .. line) end
  first = false
  return tvb:len()
end

function bin_tcp.dissector(tvb, pinfo, root)
  pinfo.cols.protocol = "BIN"
  first = true
  dissect_tcp_pdus(tvb, root, 8, packet_length, packet)
  return tvb:len()
end

bin:register_heuristic("udp", function(tvb, pinfo, root)
  if tvb:len() < 4 or tvb(0, 4):raw() ~= MARKER then return false end
  bin.dissector(tvb, pinfo, root)
  return true
end)
bin_tcp:register_heuristic("tcp", function(tvb, pinfo, root)
  if tvb:len() < 12 or tvb(0, 4):raw() ~= MARKER or packet_length(tvb, pinfo, 0) > 65535 or tvb(10, 2):le_uint() == 0 then return false end
  pinfo.conversation = bin_tcp
  bin_tcp.dissector(tvb, pinfo, root)
  return true
end)
DissectorTable.get("udp.port"):add_for_decode_as(bin)
DissectorTable.get("tcp.port"):add_for_decode_as(bin_tcp)
