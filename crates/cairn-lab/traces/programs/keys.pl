my %h; for my $i (1..3000) { my $k = "key" . ($i * 7919 % 1511); push @{$h{$k}}, "value $i" x ($i % 9); }
for my $k (sort keys %h) { my $s = join ",", @{$h{$k}}; $s =~ s/value (\d+)/<$1>/g; delete $h{$k} if length($s) % 3 == 0; }
print scalar(keys %h), "\n";
