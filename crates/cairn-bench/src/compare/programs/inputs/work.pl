# About a second of what Perl programs do: hashes of arrays, regular expressions, split, sort, join, sprintf.
# The last line is a checksum: it must be the same on every allocator. The argument is the number of rounds.
use strict;
use warnings;

my $rounds = shift // 10;
my ($check, @kept) = (0);

sub record {
    my $n = shift;
    return {
        id    => $n,
        name  => 'stone ' . ($n * 7919 % 10007),
        tags  => [map { "tag" . $n % $_ } 3, 5, 7, 11],
        place => { x => $n * 3, y => -$n, note => 'n' x ($n % 60) },
    };
}

sub write_record {
    my $r = shift;
    return sprintf '%d|%s|%s|x=%d;y=%d;note=%s', $r->{id}, $r->{name}, join(',', @{ $r->{tags} }),
        @{ $r->{place} }{qw(x y note)};
}

sub read_record {
    my ($id, $name, $tags, $place) = split /\|/, shift;
    my %place = map { split /=/, $_, 2 } split /;/, $place;
    return { id => $id, name => $name, tags => [split /,/, $tags], place => \%place };
}

for my $round (1 .. $rounds) {
    my $text = join "\n", map { write_record(record($round * 13 + $_)) } 1 .. 4000;
    my @records = map { read_record($_) } split /\n/, $text;
    my (%count, %by_tag);
    for my $r (@records) {
        $count{$_}++ for split(' ', $r->{name}), @{ $r->{tags} };
        push @{ $by_tag{$_} }, $r for @{ $r->{tags} };
    }
    my @lines = map { "$_=$count{$_}" } sort keys %count;
    for my $tag (sort keys %by_tag) {
        my @sorted = sort { length $a->{place}{note} <=> length $b->{place}{note} || $a->{id} <=> $b->{id} }
            @{ $by_tag{$tag} };
        push @lines, join ' ', $tag, map { $_->{id} } @sorted[0 .. ($#sorted < 9 ? $#sorted : 9)];
    }
    my $all = join "\n", @lines;
    $all =~ s/(stone|tag)(\d*)/uc($1) . "<$2>"/ge;
    $check = ($check * 31 + unpack('%32C*', $all) + length $all) % 1000000007;
    push @kept, \@records;
    shift @kept if @kept > 3;
}
print "$check\n";
