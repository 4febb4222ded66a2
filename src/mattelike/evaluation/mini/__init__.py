"""A public benchmark that anybody can build: script-drawn things, and things cut out of the example photos.

============  ========================================================================
`canvas`      drawing with exact coverage, in the thing's own coordinates
`things`      kinds of things, each as a photo might show it or as a render
`cuttings`    things and grounds from the example photos
`grounds`     backgrounds
`building`    pictures, alphas and the table of a whole benchmark
============  ========================================================================

Alphas are exact: each picture is equation 1 of known colours, rounded to 8 bits and saved as JPEG.
"""
