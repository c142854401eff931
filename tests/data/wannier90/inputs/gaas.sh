# gaas: run in an empty folder; PSEUDO is the folder of the pseudopotentials
set -e
export OMP_NUM_THREADS=1
# mesh N [w]: the N x N x N points in Wannier90's order, with weights when w is given
mesh() { awk -v n="$1" -v w="$2" 'BEGIN { for (i = 0; i < n; i++) for (j = 0; j < n; j++) for (k = 0; k < n; k++)
  printf "%.10f %.10f %.10f%s\n", i / n, j / n, k / n, w == "" ? "" : sprintf(" %.10f", 1 / n ^ 3) }'; }
N=3; A=2.8265
cat > scf.in <<P
&control
 calculation='scf', prefix='gaas', outdir='./tmp', pseudo_dir='$PSEUDO', verbosity='high'
/
&system
 ibrav=0, nat=2, ntyp=2, ecutwfc=30, noncolin=.true., lspinorb=.true.
/
&electrons
 conv_thr=1e-11
/
ATOMIC_SPECIES
Ga 69.723 Ga.rel-pz.UPF
As 74.9216 As.rel-pz.UPF
CELL_PARAMETERS angstrom
 -$A 0.0000 $A
  0.0000 $A $A
 -$A $A 0.0000
ATOMIC_POSITIONS crystal
Ga 0.00 0.00 0.00
As 0.25 0.25 0.25
K_POINTS automatic
4 4 4 0 0 0
P
pw.x < scf.in > scf.out
sed -e "s/'scf'/'nscf'/; s/ecutwfc=30/ecutwfc=30, nbnd=24, nosym=.true., noinv=.true./; /K_POINTS/,\$d" scf.in > nscf.in
echo "K_POINTS crystal" >> nscf.in; echo $((N*N*N)) >> nscf.in; mesh $N w >> nscf.in
pw.x < nscf.in > nscf.out
mk() { # seed iter disiter
cat > $1.win <<P
num_wann = 16
num_bands = 24
spinors = true
num_iter = $2
dis_num_iter = $3
dis_win_max = 17.0
dis_froz_max = 6.2
guiding_centres = true
write_hr = true
write_tb = true
write_xyz = true
write_u_matrices = true
bands_plot = true
bands_num_points = 20
begin kpoint_path
L 0.5 0.5 0.5 G 0.0 0.0 0.0
G 0.0 0.0 0.0 X 0.5 0.0 0.5
X 0.5 -0.5 0.0 K 0.375 -0.375 0.0
K 0.375 -0.375 0.0 G 0.0 0.0 0.0
end kpoint_path
begin projections
Ga : s;p
As : s;p
end projections
begin unit_cell_cart
ang
 -$A 0.0000 $A
  0.0000 $A $A
 -$A $A 0.0000
end unit_cell_cart
begin atoms_frac
Ga 0.00 0.00 0.00
As 0.25 0.25 0.25
end atoms_frac
mp_grid = $N $N $N
begin kpoints
P
mesh $N >> $1.win; echo "end kpoints" >> $1.win
}
mk gaas 100 200
wannier90.x -pp gaas
cat > p.in <<P
&inputpp
 prefix='gaas', outdir='./tmp', seedname='gaas', write_amn=.true., write_mmn=.true., write_spn=.true., spn_formatted=.true.
/
P
pw2wannier90.x < p.in > p.out
wannier90.x gaas
for e in amn mmn eig spn nnkp; do cp gaas.$e gaas_proj.$e; done
mk gaas_proj 0 0
wannier90.x gaas_proj
