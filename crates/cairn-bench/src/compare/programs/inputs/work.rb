# About a second of what Ruby programs do: hashes, arrays, structs, strings, symbols, a small parser.
# The last line is a checksum: it must be the same on every allocator. The argument is the number of rounds.
require "strscan"

Stone = Struct.new(:id, :name, :tags, :note)

def write(value)
  case value
  when Hash then "{" + value.map { |key, entry| "\"#{key}\":#{write(entry)}" }.join(",") + "}"
  when Array then "[" + value.map { |entry| write(entry) }.join(",") + "]"
  when String then "\"#{value}\""
  else value.to_s
  end
end

def parse(scanner)
  if scanner.skip(/\[/)
    list = []
    until scanner.skip(/\]/)
      scanner.skip(/,/)
      list << parse(scanner)
    end
    list
  elsif scanner.skip(/\{/)
    hash = {}
    until scanner.skip(/\}/)
      scanner.skip(/,/)
      key = scanner.scan(/"[^"]*"/)[1..-2]
      scanner.skip(/:/)
      hash[key] = parse(scanner)
    end
    hash
  elsif (text = scanner.scan(/"[^"]*"/))
    text[1..-2]
  else
    scanner.scan(/-?\d+/).to_i
  end
end

def record(n)
  {
    "id" => n,
    "name" => "stone #{n * 7919 % 10007}",
    "tags" => [3, 5, 7].map { |k| "tag#{n % k}" },
    "place" => { "x" => n * 3, "y" => -n, "note" => "n" * (n % 60) }
  }
end

rounds = (ARGV[0] || 10).to_i
check = 0
kept = []
rounds.times do |round|
  text = write((1..2000).map { |n| record(round * 13 + n) })
  stones = parse(StringScanner.new(text)).map { |r| Stone.new(r["id"], r["name"], r["tags"], r["place"]["note"]) }
  count = Hash.new(0)
  stones.each { |stone| (stone.name.split + stone.tags).each { |word| count[word] += 1 } }
  lines = count.sort.map { |word, times| "#{word}=#{times}" }
  stones.group_by { |stone| stone.tags.last }.sort.each do |tag, group|
    lines << group.sort_by { |stone| [stone.note.size, stone.id] }.first(10).map(&:id).unshift(tag).join(" ")
  end
  buffer = +""
  5000.times { |n| buffer << lines[n % lines.size] << "\n" }
  check = (check * 31 + buffer.sum(32) + buffer.gsub("stone", "rock").size) % 1_000_000_007
  kept << stones
  kept.shift if kept.size > 3
end
puts check
