"""The public validation: a committed list of questions, asked of any model, scored the same way each time.

============  ======================================================================
`questions`   what is asked: a list that is committed, so that numbers compare
`choosing`    how that list was chosen, from the held-out kinds of a pack
`drawing`     the pictures it names, drawn the same on every machine
`marking`     marks a person might have made: mask, clicks, scribble, box
`methods`     who answers: a network in training, or any model of the package
`scoring`     the answers and their scores
`report`      tables, and the worst answers as pictures
============  ======================================================================
"""
