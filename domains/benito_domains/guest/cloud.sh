#!/bin/sh
# Called by cloud-init at every boot of an imported image, with the image's own shell, once the seed's kit stands in
# /run/benito/kit: from here on the image is like any other.
kit=/usr/lib/benito
mkdir -p $kit
mount --bind /run/benito/kit $kit
if $kit/busybox true 2>/dev/null; then
    exec $kit/service cloud
fi
exec sh $kit/service cloud # of another processor than the kit's
